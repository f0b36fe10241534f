// Trials that need others of their sweep: which one a name means, what that makes of identities, and mistakes.
#include <algorithm>

#include "experiments/sweep/need_links.h"
#include "tests/sweep/sweep_fixture.h"

namespace winnow::test {
namespace {

// The small catalog and a method that learns from another trial.
Catalog with_pupil() {
  Catalog catalog = small_catalog();
  catalog.methods.push_back({"pupil",
                             1,
                             {{.key = "teacher", .kind = Kind::Trial, .fallback = "dense"},
                              {.key = "heat", .kind = Kind::Real, .fallback = "1"}},
                             "",
                             ""});
  return catalog;
}

class Needs : public SweepFiles {
 protected:
  Sweep read(const std::string& text, const ExpandOptions& options = {}) const {
    return load_sweep(write("s.yaml", text), with_pupil(), options);
  }
  std::string mistakes(const std::string& text) const {
    try {
      read(text);
    } catch (const Error& error) {
      std::string shown = error.what();
      const std::string prefix = folder_.string() + "/";
      for (std::size_t at; (at = shown.find(prefix)) != std::string::npos;) shown.erase(at, prefix.size());
      return shown;
    }
    return "no problem";
  }
  static TrialSpec named(const Sweep& sweep, const std::string& name) {
    return *std::ranges::find(sweep.trials, name, &TrialSpec::name);
  }
};

TEST_F(Needs, ANameIsAMethodOrALabelAndGoesIntoTheIdentity) {
  const Sweep sweep = read(kHead +
                           "axes:\n"
                           "  - cases:\n"
                           "      - {name: pupil, label: second, method.teacher: first}\n"
                           "      - {name: pupil, label: first}\n"
                           "      - dense\n");
  ASSERT_EQ(sweep.trials.size(), 3u);
  const TrialSpec &second = sweep.trials[0], &first = sweep.trials[1], &dense = sweep.trials[2];
  EXPECT_TRUE(dense.needs.empty());
  EXPECT_EQ(first.needs, (std::vector<TrialNeed>{{"pupil", "teacher", "method.teacher", dense.name()}}));
  EXPECT_EQ(second.needs, (std::vector<TrialNeed>{{"pupil", "teacher", "method.teacher", first.name()}}));
  EXPECT_EQ(first.identity.text("method.teacher"), dense.id);
  EXPECT_EQ(second.identity.text("method.teacher"), first.id);
  EXPECT_EQ(dense.id, load(kHead + "axes: [{cases: [dense]}]\n").trials[0].id) << "who needs nothing keeps its name";
}

TEST_F(Needs, AChangeUpstreamMakesNewTrialsAndALabelDoesNot) {
  const auto ids = [&](const std::string& lr, const std::string& label) {
    const Sweep sweep = read(kHead + "  train: {lr: 0.1}\naxes:\n  - cases:\n      - {name: dense, label: " + label +
                             ", train.lr: " + lr + "}\n      - {name: pupil, method.teacher: " + label + "}\n");
    return std::pair(sweep.trials[0].id, sweep.trials[1].id);
  };
  const auto one = ids("0.1", "base"), other = ids("0.2", "base"), renamed = ids("0.1", "start");
  EXPECT_NE(one.first, other.first);
  EXPECT_NE(one.second, other.second);
  EXPECT_EQ(one, renamed);
}

TEST_F(Needs, OfSeveralTheOneWithTheSameSettingsAndReplicateIsMeant) {
  const Sweep sweep = read(kHead +
                           "axes:\n"
                           "  - model.name: [resnet20, vgg16]\n"
                           "  - train.lr: [0.1, 0.05]\n"
                           "  - cases: [dense, {name: pupil, axes: [{method.heat: [1, 2]}]}]\n"
                           "  - replicate: 2\n");
  ASSERT_EQ(sweep.trials.size(), 24u);
  for (const TrialSpec& trial : sweep.trials) {
    if (trial.settings.text("method.name") == "dense") continue;
    const TrialSpec teacher = named(sweep, trial.needs.at(0).trial);
    EXPECT_EQ(teacher.replicate, trial.replicate);
    EXPECT_EQ(teacher.settings.text("model.name"), trial.settings.text("model.name"));
    EXPECT_EQ(teacher.settings.text("train.lr"), trial.settings.text("train.lr"));
  }
}

TEST_F(Needs, TheOnlyOneOfItsNameMayBeOfAnotherModel) {
  const Sweep sweep = read(kHead +
                           "axes:\n"
                           "  - cases:\n"
                           "      - {name: dense, model.name: vgg16}\n"
                           "      - pupil\n");
  EXPECT_EQ(sweep.trials[1].needs.at(0).trial, sweep.trials[0].name());
}

TEST_F(Needs, ADenseTrialThatNoAxisGivesIsAddedOnceAndShared) {
  const Sweep sweep = read(kHead +
                           "  method: {with: [compander]}\n"
                           "axes:\n"
                           "  - train.lr: [0.1, 0.05]\n"
                           "  - cases: [{name: pupil, axes: [{method.heat: [1, 2, 3]}]}]\n");
  ASSERT_EQ(sweep.trials.size(), 8u);
  for (std::size_t i = 0; i < 6; ++i) {
    const TrialSpec teacher = named(sweep, sweep.trials[i].needs.at(0).trial);
    EXPECT_EQ(teacher.settings.text("train.lr"), sweep.trials[i].settings.text("train.lr"));
    EXPECT_EQ(teacher.canonical().find("compander"), std::string::npos) << "nothing but the model";
  }
  EXPECT_EQ(sweep.notes,
            (std::vector<std::string>{"2 dense trials are added: others need them and no axis gives them"}));
  const Sweep plain = load(kHead + "axes: [{train.lr: [0.1, 0.05]}, {cases: [dense]}]\n");
  for (const TrialSpec& dense : plain.trials) {
    EXPECT_NE(std::ranges::find(sweep.trials, dense.id, &TrialSpec::id), sweep.trials.end());
  }
}

TEST_F(Needs, OnlyPullsInWhatIsNeededButNotWhatIsExcluded) {
  const std::string text = kHead +
                           "axes:\n"
                           "  - model.name: [resnet20, vgg16]\n"
                           "  - cases:\n"
                           "      - {name: dense, label: base, train.batch: 64}\n"
                           "      - {name: pupil, label: first, method.teacher: base}\n"
                           "      - {name: pupil, label: second, method.teacher: first}\n"
                           "      - {name: snip, method.density: 0.1}\n";
  const Sweep whole = read(text);
  const Sweep some = read(text, {.only = {"method.teacher=first", "model.name=vgg16"}});
  ASSERT_EQ(some.trials.size(), 3u);
  EXPECT_EQ(some.trials[0].settings.text("label"), "second");
  for (const TrialSpec& trial : some.trials) {
    EXPECT_EQ(trial.settings.text("model.name"), "vgg16");
    EXPECT_EQ(named(whole, trial.name()).needs, trial.needs) << "the same trials as without --only";
  }
  EXPECT_EQ(some.notes, (std::vector<std::string>{"2 trials that --only leaves out stay: others need them"}));
  EXPECT_THROW(read(text + "exclude: [{method.name: dense}]\n", {.only = {"method.teacher=first"}}), Error);
  const std::string nobody = mistakes(kHead + "axes: [{cases: [pupil]}]\nexclude: [{method.name: dense}]\n");
  EXPECT_NE(nobody.find("error: 'method.teacher': a rule leaves out the dense trial that it names"), std::string::npos)
      << nobody;
}

TEST_F(Needs, MistakesAreShownWhereTheNameIsWritten) {
  const auto axes = [](const std::string& cases) { return kHead + "axes:\n  - cases:\n" + cases; };
  EXPECT_NE(mistakes(axes("      - {name: dense, label: base}\n"
                          "      - {name: pupil, method.teacher: bas}\n"))
                .find("s.yaml:9:39: error: 'method.teacher': no trial of this sweep is called 'bas'"),
            std::string::npos);
  EXPECT_NE(mistakes(axes("      - {name: dense, label: base}\n"
                          "      - {name: pupil, method.teacher: bas}\n"))
                .find("did you mean 'base'?"),
            std::string::npos);
  EXPECT_NE(mistakes(axes("      - {name: pupil, label: one, method.teacher: two}\n"
                          "      - {name: pupil, label: two, method.teacher: one}\n"))
                .find("s.yaml:9:51: error: 'method.teacher' makes a ring of trials that need each other: one needs two "
                      "needs one"),
            std::string::npos);
  EXPECT_NE(mistakes(axes("      - {name: pupil, method.teacher: pupil}\n")).find("a ring of trials"),
            std::string::npos);
  const std::string several =
      mistakes(axes("      - {name: snip, label: x, axes: [{method.density: [0.1, 0.2]}]}\n"
                    "      - {name: pupil, method.teacher: x}\n"));
  EXPECT_NE(several.find("s.yaml:9:39: error: 'method.teacher': 2 trials are called 'x' and have the same settings "
                         "outside the method"),
            std::string::npos)
      << several;
  const std::string other =
      mistakes(axes("      - {name: dense, axes: [{train.lr: [0.2, 0.3]}]}\n"
                    "      - pupil\n"));
  EXPECT_NE(other.find("no trial called 'dense' has the same settings outside the method; one differs in 'train.lr'"),
            std::string::npos)
      << other;
}

// By name and replicate, and by the settings in which those differ: not each with each.
TEST_F(Needs, ManyTrialsThatNeedManyAreLinkedInLinearTime) {
  Diagnostics problems;
  const auto reference = std::make_shared<const std::vector<NeedReference>>(
      std::vector<NeedReference>{{"pupil", "teacher", "method.teacher", {}, {}}});
  NeedLinks links(problems, [](const NeedReference&) { return std::nullopt; });
  constexpr int kRates = 40, kReplicates = 25, kPupils = 2;
  const auto add = [&](const std::string& method, const std::string& id, int rate, int replicate, bool needs) {
    TrialSpec spec;
    spec.id = id;
    spec.replicate = replicate;
    spec.settings.set("method.name", method);
    spec.settings.set("train.lr", std::to_string(rate));
    if (needs) spec.settings.set("method.teacher", "dense");
    links.add(spec, needs ? reference : nullptr, true);
  };
  for (int rate = 0; rate < kRates; ++rate) {
    for (int replicate = 0; replicate < kReplicates; ++replicate) {
      add("dense", fmt::format("d{}", rate), rate, replicate, false);
      for (int pupil = 0; pupil < kPupils; ++pupil) {
        add("pupil", fmt::format("p{}x{}", rate, pupil), rate, replicate, true);
      }
    }
  }
  std::size_t pupils = 0;
  links.link([&](const TrialSpec& spec, NeedLinks::Why) {
    if (spec.needs.empty()) return;
    ++pupils;
    EXPECT_EQ(spec.needs[0].trial, fmt::format("d{}-r{}", spec.settings.text("train.lr"), spec.replicate));
  });
  EXPECT_FALSE(problems.any());
  constexpr std::size_t kTrials = std::size_t{kRates} * kReplicates * (1 + kPupils);
  EXPECT_EQ(pupils, kTrials * kPupils / (1 + kPupils));
  EXPECT_LE(links.looked_at(), kTrials);
}

TEST_F(Needs, TwoLabelsOfOneTrialMeanIt) {
  const Sweep sweep = read(kHead +
                           "axes:\n"
                           "  - cases:\n"
                           "      - {name: dense, label: a}\n"
                           "      - {name: dense, label: b}\n"
                           "      - {name: pupil, method.teacher: a}\n"
                           "      - {name: pupil, method.teacher: b}\n");
  EXPECT_EQ(sweep.trials.size(), 2u);
  EXPECT_EQ(sweep.duplicates, 2u);
}

}  // namespace
}  // namespace winnow::test
