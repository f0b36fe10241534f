#include <algorithm>
#include <map>
#include <set>

#include "tests/sweep/sweep_fixture.h"

namespace winnow::test {
namespace {

class Expansion : public SweepFiles {};

// The example of the documentation, whose count was checked by an independent program.
const std::string kSurvey = R"(sweep: survey
schema: 1
trial:
  data:   {name: cifar10, root: $DATA/cifar10, augment: standard}
  model:  {name: resnet20}
  train:  {epochs: 160, batch: 128, optimizer: sgd, lr: 0.1, momentum: 0.9, weight_decay: 1.0e-4,
           schedule: {kind: multistep, at: [80, 120], gamma: 0.1}}
  method: {name: dense}
  ranks:  1
define:
  densities: &d [0.5, 0.2, 0.1, 0.05, 0.02]
axes:
  - zip:
      model.name: [resnet20, vgg16, lenet300]
      train.lr:   [0.1, 0.05, 0.01]
  - cases:
      - {name: dense}
      - {name: magnitude, axes: [{method.density: *d}, {method.schedule: [oneshot, gradual]}]}
      - {name: rigl,      axes: [{method.density: *d}, {method.alpha: [0.3, 0.5]}, {method.delta_t: [100, 500]}]}
      - {name: snip,      axes: [{method.density: *d}]}
      - name: freeze
        sample: {kind: sobol, n: 8, seed: 7,
                 space: {method.freeze_at: {uniform: [0.1, 0.9]}, method.order: {choice: [front, back]}}}
    key: method.name
  - replicate: 5
exclude:
  - {method.name: snip, method.density: 0.02, model.name: lenet300}
  - {method.name: rigl, method.density: {ge: 0.5}}
stop:
  nonfinite: stop
save:
  weights: {form: csr}
)";

std::map<std::string, int> by(const Sweep& sweep, const std::string& key) {
  std::map<std::string, int> counts;
  for (const TrialSpec& spec : sweep.trials) {
    ++counts[spec.settings.has(key) ? spec.settings.text(key) : "-"];
  }
  return counts;
}

std::vector<std::string> names(const Sweep& sweep) {
  std::vector<std::string> all;
  for (const TrialSpec& spec : sweep.trials) all.push_back(spec.name());
  return all;
}

std::set<std::string> ids(const Sweep& sweep) {
  std::set<std::string> all;
  for (const TrialSpec& spec : sweep.trials) all.insert(spec.id);
  return all;
}

TEST_F(Expansion, DocumentedSurveyHasItsDocumentedCounts) {
  const Sweep sweep = load(kSurvey);
  EXPECT_EQ(sweep.trials.size(), 595u);
  EXPECT_EQ(sweep.configurations, 119u);
  EXPECT_EQ(sweep.replicates, 5u);
  EXPECT_EQ(
      by(sweep, "method.name"),
      (std::map<std::string, int>{{"dense", 15}, {"magnitude", 150}, {"rigl", 240}, {"snip", 70}, {"freeze", 120}}));
  ASSERT_EQ(sweep.left_out.size(), 2u);
  EXPECT_EQ(sweep.left_out[0].count, 5u);
  EXPECT_EQ(sweep.left_out[1].count, 60u);
  EXPECT_TRUE(sweep.left_out[1].where.ends_with("s.yaml:28"));
  EXPECT_EQ(sweep.name, "survey");
  EXPECT_EQ(sweep.save.text("weights.form"), "csr");
  EXPECT_EQ(sweep.save.text("checkpoint.keep"), "2");
  const std::vector<std::string> all = names(sweep);
  EXPECT_EQ(std::set(all.begin(), all.end()).size(), 595u);
  for (const TrialSpec& spec : sweep.trials) {
    const bool small = spec.settings.text("model.name") == "vgg16";
    EXPECT_EQ(spec.settings.text("train.lr") == "0.05", small);
    EXPECT_EQ(spec.settings.text("train.schedule.at"), "[80ep, 120ep]");
  }
}

TEST_F(Expansion, NestedMapsAndDottedKeysAreTheSame) {
  const std::string nested = kHead + "  train: {schedule: {kind: multistep, at: [8]}}\n  method: {name: dense}\n";
  const std::string dotted =
      kHead + "  train.schedule.at: [8]\n  train.schedule: {kind: multistep}\n  method.name: dense\n";
  EXPECT_EQ(names(load(nested)), names(load(dotted)));
}

TEST_F(Expansion, FirstAxisIsSlowestAndOrderIsStable) {
  const Sweep sweep = load(kHead + R"(  method: {name: dense}
axes:
  - train.lr: [0.1, 0.2]
  - train.batch: [16, 32]
  - replicate: 2
)");
  std::string order;
  for (const TrialSpec& spec : sweep.trials) {
    order +=
        fmt::format("{}/{}/{} ", spec.settings.text("train.lr"), spec.settings.text("train.batch"), spec.replicate);
  }
  EXPECT_EQ(order, "0.1/16/0 0.1/16/1 0.1/32/0 0.1/32/1 0.2/16/0 0.2/16/1 0.2/32/0 0.2/32/1 ");
}

TEST_F(Expansion, AddingAnAxisValueKeepsEveryOtherTrial) {
  const std::string axis = "  method: {name: snip}\naxes:\n  - method.density: ";
  const auto few = ids(load(kHead + axis + "[0.5, 0.1]\n"));
  const auto more = ids(load(kHead + axis + "[0.9, 0.5, 0.3, 0.1]\n"));
  EXPECT_TRUE(std::includes(more.begin(), more.end(), few.begin(), few.end()));
  EXPECT_EQ(more.size(), 4u);
}

TEST_F(Expansion, ListSettingsCanBeAxes) {
  const Sweep sweep = load(kHead + R"(  method: {name: dense}
axes:
  - model.name: [lenet300]
  - model: {hidden: [[300, 100], [64]]}
)");
  ASSERT_EQ(sweep.trials.size(), 2u);
  EXPECT_EQ(sweep.trials[1].settings.text("model.hidden"), "[64]");
}

TEST_F(Expansion, CasesMayNameAModelFixSettingsAndNestCases) {
  const Sweep sweep = load(kHead + R"(axes:
  - cases:
      - {name: lenet300, train: {lr: 0.5}, model.hidden: [32]}
      - name: vgg16
        axes:
          - cases: [dense, {name: snip, method.density: 0.5}]
    key: model.name
  - {train.batch: [1, 2], train.momentum: [0, 0.5, 1]}
)",
                           {.set = {"method.density=0.25"}, .only = {"model.name=vgg16"}});
  EXPECT_EQ(sweep.trials.size(), 12u);
  EXPECT_EQ(by(sweep, "method.density"), (std::map<std::string, int>{{"-", 6}, {"0.25", 6}}));
}

TEST_F(Expansion, ComposedMethodsAreCheckedAgainstTheirOwnSchemas) {
  const Sweep sweep = load(kHead + R"(  method:
    name: snip
    density: 0.05
    with: {interspace: {sharing: fine}, compander: {}}
axes:
  - method.with.compander.a: [0.5, 0.75]
)");
  ASSERT_EQ(sweep.trials.size(), 2u);
  const Settings& settings = sweep.trials[1].settings;
  EXPECT_EQ(settings.text("method.with.interspace"), "on");
  EXPECT_EQ(settings.text("method.with.interspace.sharing"), "fine");
  EXPECT_EQ(settings.text("method.with.compander.a"), "0.75");
  EXPECT_EQ(sweep.trials[0].canonical(),
            "data.name=mnist\nmethod.density=0.05\nmethod.name=snip\nmethod.with.compander=on\n"
            "method.with.interspace.sharing=fine\nmethod.with.interspace=on\nmodel.name=resnet20\n");
}

TEST_F(Expansion, CompositionIsAnAxisAndAListGivesDefaults) {
  const Sweep listed = load(kHead + "  method: {name: snip, density: 0.5, with: [interspace]}\n");
  const Sweep axis = load(kHead + R"(  method: {name: snip, density: 0.5}
axes:
  - method.with.interspace: [on, off]
)");
  ASSERT_EQ(axis.trials.size(), 2u);
  EXPECT_EQ(axis.trials[0].id, listed.trials[0].id);
  EXPECT_FALSE(axis.trials[1].settings.has("method.with.interspace"));
  EXPECT_EQ(load(kHead + "  method: {name: snip, density: 0.5}\n").trials[0].id, axis.trials[1].id);
}

TEST_F(Expansion, TrialKeysOfSomeMethodsAreDroppedForTheOthers) {
  const Sweep sweep = load(kHead + R"(  method: {name: dense, density: 0.1, alpha: 0.5}
axes:
  - cases: [dense, snip, rigl]
)");
  ASSERT_EQ(sweep.trials.size(), 3u);
  EXPECT_FALSE(sweep.trials[0].settings.has("method.density"));
  EXPECT_FALSE(sweep.trials[1].settings.has("method.alpha"));
  EXPECT_EQ(sweep.trials[2].settings.text("method.alpha"), "0.5");
}

TEST_F(Expansion, EqualTrialsAreKeptOnce) {
  const Sweep sweep = load(kHead + "  method: {name: dense}\naxes:\n  - train.lr: [0.1, 0.10, 1e-1, 0.2]\n");
  EXPECT_EQ(sweep.trials.size(), 2u);
  EXPECT_EQ(sweep.duplicates, 2u);
}

TEST_F(Expansion, ExcludeUnderstandsListsComparisonsAndSpelling) {
  const std::string axes = R"(  method: {name: dense}
axes:
  - train.lr: [0.1, 0.2, 0.3, 0.4]
  - train.epochs: [10, 20ep, 300it]
)";
  const auto left = [&](const std::string& rule) {
    return load(kHead + axes + "exclude:\n  - " + rule + "\n").trials.size();
  };
  EXPECT_EQ(left("{train.lr: [0.1, 3e-1]}"), 6u);
  EXPECT_EQ(left("{train.lr: {gt: 0.1, lt: 0.4}}"), 6u);
  EXPECT_EQ(left("{train.lr: {ne: 0.1}}"), 3u);
  EXPECT_EQ(left("{train: {epochs: 10ep}, train.lr: {le: 0.2}}"), 10u);
  EXPECT_EQ(left("{train.epochs: {ge: 20}}"), 4u);
  EXPECT_EQ(left("{method.density: {ge: 0}}"), 12u);  // no trial has it
}

TEST_F(Expansion, BruteForceAgreesWithTheExpander) {
  // Every product, exclusion and replicate counted by nested loops over the same numbers.
  std::set<std::string> expected;
  for (const char* method : {"snip", "magnitude"}) {
    for (const char* density : {"0.5", "0.1", "0.02"}) {
      for (const char* lr : {"0.2", "0.4"}) {
        for (int r = 0; r < 3; ++r) {
          if (std::string(method) == "snip" && std::stod(density) < 0.1) continue;
          expected.insert(fmt::format("{} {} {} {}", method, density, lr, r));
        }
      }
    }
  }
  const Sweep sweep = load(kHead + R"(axes:
  - replicate: 3
  - method.density: [0.5, 0.1, 0.02]
  - cases: [snip, magnitude]
  - train.lr: [0.2, 0.4]
exclude:
  - {method.name: snip, method.density: {lt: 0.1}}
)");
  std::set<std::string> found;
  for (const TrialSpec& spec : sweep.trials) {
    found.insert(fmt::format("{} {} {} {}", spec.settings.text("method.name"), spec.settings.text("method.density"),
                             spec.settings.text("train.lr"), spec.replicate));
  }
  EXPECT_EQ(found, expected);
  EXPECT_EQ(sweep.trials.size(), expected.size());
}

TEST_F(Expansion, ExtendsMergesDeeplyLeftToRightThisFileLast) {
  write("base/a.yaml", "trial:\n  data: {name: mnist}\n  train: {lr: 0.5, batch: 8}\n");
  write("base/b.yaml", "extends: a.yaml\ntrial:\n  train: {batch: 16, momentum: 0.5}\naxes: [{train.lr: [1, 2]}]\n");
  const Sweep sweep = load(R"(extends: [base/a.yaml, base/b.yaml]
trial:
  train.momentum: 0.25
  model: {name: resnet20}
  method: {name: dense}
)");
  ASSERT_EQ(sweep.trials.size(), 2u);
  const Settings& settings = sweep.trials[0].settings;
  EXPECT_EQ(settings.text("train.lr"), "1");
  EXPECT_EQ(settings.text("train.batch"), "16");
  EXPECT_EQ(settings.text("train.momentum"), "0.25");
  EXPECT_EQ(sweep.name, "s");
}

TEST_F(Expansion, SetReplacesValuesAndAxes) {
  const Sweep sweep = load(kSurvey, {.set = {"train.lr=0.3", "train.schedule.at=[1, 2]"}});
  EXPECT_EQ(by(sweep, "train.lr"), (std::map<std::string, int>{{"0.3", 595}}));
  EXPECT_EQ(by(sweep, "train.schedule.at"), (std::map<std::string, int>{{"[1ep, 2ep]", 595}}));
}

TEST_F(Expansion, SetWithAListIsAnAxisOfASettingThatIsNone) {
  const std::string cases = kHead +
                            "  method.density: 0.9\n"
                            "axes:\n  - cases: [dense, snip]\n  - train.batch: [16, 32]\n";
  const Sweep sweep = load(cases, {.set = {"method.density=[0.3, 0.4]", "train.batch=[1, 2, 3]"}});
  EXPECT_EQ(by(sweep, "method.density"), (std::map<std::string, int>{{"-", 3}, {"0.3", 3}, {"0.4", 3}}))
      << "dense has no density and is there once for each batch";
  EXPECT_EQ(sweep.duplicates, 3u) << "those of dense, none of the axis that was replaced";
  EXPECT_EQ(by(sweep, "train.batch"), (std::map<std::string, int>{{"1", 3}, {"2", 3}, {"3", 3}}));
  EXPECT_EQ(load(cases, {.set = {"train.batch=[1, 2]", "train.batch=4"}}).trials.size(), 2u) << "the last one counts";
  EXPECT_NE(problems(cases, {.set = {"method.density=[0.3, 4]"}}).find("must be in (0, 1], is 4"), std::string::npos);
}

TEST_F(Expansion, OnlyPicksTrialsAndSaysHowManyItLeftOut) {
  const Sweep sweep = load(kSurvey, {.only = {"method.name=[rigl, snip]", "method.density=0.10"}});
  EXPECT_EQ(by(sweep, "method.name"), (std::map<std::string, int>{{"rigl", 60}, {"snip", 15}}));
  EXPECT_EQ(sweep.left_out[0].rule, "--only method.name=[rigl, snip]");
  std::size_t all = sweep.trials.size();
  for (const LeftOut& left : sweep.left_out) all += left.count;
  EXPECT_EQ(all, 660u);
}

TEST_F(Expansion, SmokeTakesOneShortTrialOfEachCase) {
  const Sweep sweep = load(kSurvey, {.smoke = true});
  EXPECT_TRUE(sweep.smoke);
  EXPECT_EQ(by(sweep, "method.name").size(), 5u);
  EXPECT_EQ(sweep.trials.size(), 5u);
  EXPECT_EQ(by(sweep, "train.epochs"), (std::map<std::string, int>{{"2ep", 5}}));
  EXPECT_EQ(by(sweep, "data.fraction"), (std::map<std::string, int>{{"0.01", 5}}));
}

TEST_F(Expansion, ChecksOfTheCallerAreShownAtTheirKey) {
  const TrialCheck check = [](const TrialSpec& spec) -> std::optional<SettingProblem> {
    if (spec.settings.real("method.density") > 0.2) return std::nullopt;
    return SettingProblem{"method.density", "cannot be reached by resnet20"};
  };
  const std::string text =
      problems(kHead + "  method: {name: snip}\naxes:\n  - method.density: [0.5, 0.1, 0.3]\n", {.check = check});
  EXPECT_EQ(text,
            "65\ns.yaml:8:27: error: 'method.density' cannot be reached by resnet20\n"
            "    8 |   - method.density: [0.5, 0.1, 0.3]\n"
            "      |                           ^~~");
}

TEST_F(Expansion, AMillionNodesAndPointsAreTheLimit) {
  std::string bomb = "define:\n  a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n";
  for (char c = 'b'; c <= 'h'; ++c) {
    bomb += fmt::format("  {0}: &{0} [", c);
    for (int i = 0; i < 10; ++i) bomb += fmt::format("{}*{}", i ? ", " : "", static_cast<char>(c - 1));
    bomb += "]\n";
  }
  EXPECT_NE(problems(bomb).find("more than 1000000 nodes"), std::string::npos);
  const std::string product = kHead + R"(  method: {name: dense}
axes:
  - sample: {kind: random, n: 10000, space: {train.lr: {uniform: [0.1, 0.2]}}}
  - replicate: 101
)";
  EXPECT_NE(problems(product).find("s.yaml:9:5: error: the sweep has more than 1000000 points"), std::string::npos);
}

// Resolving what is left of a product that is refused anyway took all memory.
TEST_F(Expansion, AProductBeyondTheLimitIsRefusedWithoutResolvingIt) {
  std::string text = kHead + "  method: {name: rigl, density: 0.1}\naxes:\n";
  for (const char* key : {"train.batch", "train.lr", "train.momentum", "method.delta_t"}) {
    text += fmt::format("  - {}: [1", key);
    for (int i = 2; i < 100; ++i) text += fmt::format(", {}", i);
    text += "]\n";
  }
  int checked = 0;
  const TrialCheck check = [&](const TrialSpec&) -> std::optional<SettingProblem> {
    ++checked;
    return std::nullopt;
  };
  EXPECT_EQ(problems(text, {.check = check}).find("65\ns.yaml:11:5: error: the sweep has more than"), 0u);
  EXPECT_LE(checked, 1);
}

}  // namespace
}  // namespace winnow::test
