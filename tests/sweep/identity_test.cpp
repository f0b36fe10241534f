#include "experiments/sweep/identity.h"

#include <algorithm>
#include <set>

#include "experiments/run/trial_setup.h"
#include "tests/sweep/sweep_fixture.h"

namespace winnow::test {
namespace {

class Identity : public SweepFiles {
 protected:
  std::string id(const std::string& rest) const { return load(kHead + rest).trials.at(0).id; }
};

TEST_F(Identity, IsTheHashOfTheCanonicalText) {
  // printf 'data.name=mnist\nmethod.name=dense\nmodel.name=resnet20\n' | sha256sum
  const Sweep sweep = load(kHead + "  method: {name: dense}\n");
  EXPECT_EQ(sweep.trials[0].canonical(), "data.name=mnist\nmethod.name=dense\nmodel.name=resnet20\n");
  EXPECT_EQ(sweep.trials[0].id, "5aa8b6c54c1e7563833b");
  EXPECT_EQ(sweep.trials[0].name(), sweep.trials[0].id + "-r0");
}

// A change here renames every trial of every user.
TEST_F(Identity, IdsArePinned) {
  EXPECT_EQ(id("  method: {name: snip, density: 0.05}\n"), "341db4dd842f46b01e58");
  EXPECT_EQ(id("  method: {name: rigl, density: 0.05, alpha: 0.5}\n"), "9879d296e013f3c342cf");
  EXPECT_EQ(id("  method: {name: dense}\n  train: {lr: 1e-3, schedule: {kind: multistep, at: [80, "
               "120]}}\n"),
            "167651feca350887fe34");
  EXPECT_EQ(id("  method: {name: snip, density: 0.05, with: [interspace]}\n"), "da98593c454c77633713");
  EXPECT_EQ(id("  method: {name: dense}\npair: data_order\n"), "aca2a67eaef48668c106");
}

// The same with the methods, models and data of this build: ids made by the revision before identities
// were values. Every trial whose settings are all read and spelled in at most 15 digits keeps its name.
TEST_F(Identity, IdsOfTheBuildArePinned) {
  std::ifstream lines(std::filesystem::path(WINNOW_SOURCE_DIR) / "tests/sweep/golden/ids.txt");
  int found = 0;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t tab = line.find('\t');
    if (tab == std::string::npos) continue;
    const auto path = write("pinned.yaml", "sweep: pinned\ntrial: " + line.substr(tab + 1) + "\n");
    EXPECT_EQ(load_sweep(path, catalog(), {.depends_on_ranks = depends_on_ranks}).trials.at(0).id, line.substr(0, tab))
        << line;
    ++found;
  }
  EXPECT_EQ(found, 19);
}

TEST_F(Identity, OneNumberIsOneTrialHoweverManyDigitsSpellIt) {
  const Sweep sweep = load(kHead +
                           "  method: {name: snip}\naxes:\n"
                           "  - method.density: [0.1, 0.10000000000000001, 0.1000000000000000055]\n");
  EXPECT_EQ(sweep.trials.size(), 1u);
  EXPECT_EQ(sweep.duplicates, 2u);
  EXPECT_EQ(sweep.trials[0].id, id("  method: {name: snip, density: 1e-1}\n"));
}

TEST_F(Identity, RulesCompareNumbersNotTexts) {
  const std::string axes = "axes: [{method.density: [0.1, 0.2]}]\n";
  const Sweep excluded =
      load(kHead + "  method: {name: snip}\n" + axes + "exclude: [{method.density: [0.10000000000000001]}]\n");
  ASSERT_EQ(excluded.trials.size(), 1u);
  EXPECT_EQ(excluded.trials[0].settings.text("method.density"), "0.2");
  const Sweep only = load(kHead + "  method: {name: snip}\n" + axes, {.only = {"method.density=0.200000000000000011"}});
  ASSERT_EQ(only.trials.size(), 1u);
  EXPECT_EQ(only.trials[0].settings.text("method.density"), "0.2");
}

TEST_F(Identity, TheOrderOfMilestonesDoesNotMatter) {
  const auto with = [&](const std::string& at) {
    return id("  method: {name: dense}\n  train: {schedule: {kind: multistep, at: " + at + "}}\n");
  };
  EXPECT_EQ(with("[2, 1]"), with("[1, 2]"));
  EXPECT_EQ(with("[30it, 2ep]"), with("[2ep, 30it]"));
  EXPECT_NE(with("[1, 3]"), with("[1, 2]"));
}

TEST_F(Identity, WhatIsNotReadDoesNotCountAndIsNoted) {
  const std::string adam = "  method: {name: dense}\n  train: {optimizer: adam";
  const Sweep sweep = load(kHead + adam + ", momentum: 0.5, nesterov: true}\n");
  EXPECT_EQ(sweep.trials[0].id, id(adam + "}\n"));
  EXPECT_EQ(sweep.trials[0].settings.text("train.momentum"), "0.9") << "the trial is what its identity says";
  ASSERT_EQ(sweep.notes.size(), 2u);
  EXPECT_NE(sweep.notes[0].find("s.yaml:7: 'train.momentum' is not read: it is when train.optimizer is sgd"),
            std::string::npos)
      << sweep.notes[0];
  const Sweep both =
      load(kHead + "  method: {name: dense}\n  train: {momentum: 0.5}\n" + "axes: [{train.optimizer: [sgd, adam]}]\n");
  EXPECT_NE(both.trials[0].canonical().find("train.momentum=0.5"), std::string::npos);
  EXPECT_EQ(both.trials[1].canonical().find("train.momentum"), std::string::npos);
  ASSERT_EQ(both.notes.size(), 1u);
  EXPECT_NE(both.notes[0].find("(1 of 2 configurations)"), std::string::npos) << both.notes[0];
}

// A catalog in which snip draws weights of its own, magnitude does where it prunes gradually, and so does a start file;
// rigl leaves the start file alone, and beside a start file interspace has nothing to share.
Catalog catalog_with_overrides() {
  Catalog catalog = small_catalog();
  for (Component& model : catalog.models) {
    model.schema.push_back({.key = "init", .kind = Kind::Choice, .fallback = "he", .choices = {"he", "xavier"}});
  }
  const auto method = [&](const char* name) -> Component& {
    return *std::ranges::find(catalog.methods, name, &Component::name);
  };
  const ReadWhen from_file = {{unless("init.from", {""})}};
  method("snip").overrides = {{"model.init"}};
  method("magnitude").overrides = {{"model.init", {{where("method.schedule", {"gradual"})}}}};
  method("rigl").overrides = {{"init.from"}};
  method("interspace").overrides = {{"method.sharing", from_file}};
  catalog.overrides = {{"model.init", from_file}};
  return catalog;
}

TEST_F(Identity, WhatAComponentPutsInThePlaceOfASettingDoesNotCountAndIsNoted) {
  const auto loaded = [&](const std::string& rest) {
    return load_sweep(write("s.yaml", kHead + "  model.init: xavier\n" + rest), catalog_with_overrides());
  };
  const auto note = [](const Sweep& sweep) { return sweep.notes.empty() ? std::string("none") : sweep.notes.front(); };
  const auto counts = [](const Sweep& sweep) { return sweep.trials.at(0).identity.has("model.init"); };

  const Sweep snip = loaded("  method: {name: snip, density: 0.5}\n");
  EXPECT_FALSE(counts(snip));
  EXPECT_EQ(snip.trials[0].settings.text("model.init"), "he") << "the trial is what its identity says";
  EXPECT_EQ(snip.trials[0].id, id("  method: {name: snip, density: 0.5}\n"));
  EXPECT_NE(note(snip).find("s.yaml:6: 'model.init' is not read: snip overrides it"), std::string::npos) << note(snip);

  EXPECT_TRUE(counts(loaded("  method: {name: magnitude, density: 0.5}\n")));
  const Sweep gradual = loaded("  method: {name: magnitude, density: 0.5, schedule: gradual}\n");
  EXPECT_FALSE(counts(gradual));
  EXPECT_NE(note(gradual).find("magnitude overrides it where method.schedule is gradual"), std::string::npos)
      << note(gradual);

  const Sweep from_file = loaded("  method: {name: dense}\n  init: {from: a.h5}\n");
  EXPECT_FALSE(counts(from_file));
  EXPECT_NE(note(from_file).find("it is overridden where init.from is not empty"), std::string::npos);
  const Sweep no_file = loaded("  method: {name: rigl, density: 0.5}\n  init: {from: a.h5}\n");
  EXPECT_TRUE(counts(no_file)) << "what is overridden overrides nothing";
  EXPECT_FALSE(no_file.trials[0].identity.has("init.from"));
  EXPECT_EQ(no_file.trials[0].settings.text("init.from"), "");

  const std::string shared = "  method: {name: dense, with: {interspace: {sharing: fine}}}\n";
  EXPECT_TRUE(loaded(shared).trials[0].identity.has("method.with.interspace.sharing"));
  EXPECT_FALSE(loaded(shared + "  init: {from: a.h5}\n").trials[0].identity.has("method.with.interspace.sharing"));
}

TEST_F(Identity, AnAxisOverWhatAComponentOverridesIsRefusedByItsName) {
  const auto path = write("s.yaml", kHead +
                                        "axes:\n  - cases: [dense, {name: snip, method.density: 0.5}]\n"
                                        "    key: method.name\n  - model.init: [he, xavier]\n");
  try {
    load_sweep(path, catalog_with_overrides());
    ADD_FAILURE() << "two names for one experiment";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what())
                  .find("s.yaml:9:5: error: 'model.init' is not read by every trial of this axis: snip overrides it\n"),
              std::string::npos)
        << error.what();
  }
}

TEST_F(Identity, AnArgumentThatNobodyReadsIsNoAxis) {
  const std::string adam = kHead + "  method: {name: dense}\n  train: {optimizer: adam}\n";
  EXPECT_NE(problems(adam, {.set = {"train.momentum=[0.5, 0.9]"}})
                .find("--set train.momentum=[0.5, 0.9]: error: 'train.momentum' is read by no trial of this sweep"),
            std::string::npos);
  const Sweep one = load(adam + "axes: [{train.optimizer: [adam, sgd]}]\n", {.set = {"train.momentum=[0.5, 0.9]"}});
  EXPECT_EQ(one.trials.size(), 3u) << "an axis for those who read it";
}

// The second value would be left out without a word.
TEST_F(Identity, AnAxisOverWhatIsNoPartOfANameIsRefusedAtItsPlace) {
  const std::string dense = kHead + "  method: {name: dense}\n";
  EXPECT_NE(problems(dense + "axes:\n  - ranks: [1, 2]\n")
                .find("s.yaml:8:5: error: 'ranks' is no part of this trial's name: with 1 and with 2 it is one trial, "
                      "trained once\n"),
            std::string::npos);
  for (const std::string values : {"ranks: [1, 2]", "data.root: [/a, /b]", "save.weights.form: [csr, none]"}) {
    EXPECT_NE(problems(dense + "axes: [{" + values + "}]\n").find("s.yaml:7:9: error: '"), std::string::npos) << values;
    EXPECT_NE(
        problems(dense + "axes: [{train.lr: [0.1, 0.2]}, {" + values + "}, {replicate: 2}]\n").find(":7:33: error"),
        std::string::npos)
        << values;
    EXPECT_EQ(load(dense + "axes: [{zip: {train.lr: [0.1, 0.2], " + values + "}}]\n").trials.size(), 2u)
        << "two names, each with its own value";
  }
  EXPECT_NE(problems(dense, {.set = {"ranks=[1, 4]"}}).find("--set ranks=[1, 4]: error: 'ranks' is no part"),
            std::string::npos);
  EXPECT_NE(problems(kHead + "axes: [{cases: [{name: dense, ranks: 1}, {name: dense, ranks: 3}]}]\n")
                .find("error: 'ranks' is no part of this trial's name: with 1 and with 3"),
            std::string::npos);
  const ExpandOptions counting{.depends_on_ranks = [](const TrialSpec&) { return true; }};
  EXPECT_EQ(load(dense + "axes: [{ranks: [1, 2]}]\n", counting).trials.size(), 2u)
      << "where ranks count they are names";
  EXPECT_EQ(load(dense + "axes: [{ranks: [2, 2]}]\n").trials.size(), 1u) << "one value";
}

TEST_F(Identity, AVersionOfTrainingCounts) {
  Catalog newer = small_catalog();
  newer.train_version = 2;
  const auto path = write("newer.yaml", kHead + "  method: {name: dense}\n");
  EXPECT_NE(load_sweep(path, newer).trials[0].canonical().find("train.version=2\n"), std::string::npos);
}

TEST_F(Identity, FormattingOrderAndDefaultsDoNotMatter) {
  const std::string plain = id("  method: {name: rigl, density: 0.05}\n  train: {lr: 0.2, batch: 64}\n");
  EXPECT_EQ(plain, id("  train:\n    batch: 64\n    lr: '2.0e-1'   # a comment\n  method:\n    "
                      "density: 0.050\n    name: rigl\n"));
  EXPECT_EQ(plain, id("  method: {name: rigl, density: 0.05, alpha: 0.3}\n  train: {lr: 0.2, "
                      "batch: 64, momentum: 0.90, epochs: 160ep}\n"));
}

TEST_F(Identity, PathsRanksSavingAndLabelsAreLeftOut) {
  const std::string plain = id("  method: {name: dense}\n");
  EXPECT_EQ(plain, id("  method: {name: dense}\n  ranks: 4\n  data.root: /elsewhere\nsave: "
                      "{weights.form: csr}\n"));
  EXPECT_EQ(plain, load_sweep(write("other.yaml", kHead + "  method: {name: dense}\naxes: [{replicate: 2}]\n"),
                              small_catalog())
                       .trials[1]
                       .id);
}

TEST_F(Identity, AStartFileStandsForItsContent) {
  const auto id_from = [&](const std::string& path, const PathContent& content) {
    return load(kHead + "  method: {name: dense}\n  init: {from: " + path + "}\n", {.content = content}).trials[0].id;
  };
  const auto same = [](const std::string&) { return std::string("5ca1ab1e"); };
  EXPECT_EQ(id_from("a.h5", same), id_from("copy/of/a.h5", same));
  EXPECT_NE(id_from("a.h5", same), id_from("a.h5", [](const std::string&) { return "0ddba11"; }));
  EXPECT_NE(id_from("a.h5", same), id("  method: {name: dense}\n"));
}

TEST_F(Identity, AStartFileThatCannotServeIsAProblemOfTheSweepFile) {
  const auto refuse = [](const std::string& path) -> std::string { fail(ErrorKind::Input, "{}: no such file", path); };
  EXPECT_NE(problems(kHead + "  method: {name: dense}\n  init: {from: a.h5}\n", {.content = refuse})
                .find("'init.from' cannot be used: a.h5: no such file"),
            std::string::npos);
}

TEST_F(Identity, RanksCountOnlyWhereTheyChangeTheMathematics) {
  const std::string dense = "  method: {name: dense}\n", two = dense + "  ranks: 2\n";
  const auto id_with = [&](const std::string& rest, bool batch_norm) {
    return load(kHead + rest, {.depends_on_ranks = [=](const TrialSpec&) { return batch_norm; }}).trials[0].id;
  };
  EXPECT_EQ(id_with(two, false), id(dense));
  EXPECT_NE(id_with(two, true), id(dense));
  EXPECT_EQ(id_with(dense, true), id(dense)) << "one rank is what everybody else means";
}

TEST_F(Identity, AValueThatFollowsFromOtherSettingsDoesNotCount) {
  Catalog catalog = small_catalog();
  Component& magnitude = catalog.methods.at(1);
  Setting& density = magnitude.schema.at(0);
  density.fallback = "0.2";
  density.derive = [](const Settings& s) {
    return s.text("schedule") == "gradual" ? std::string("0.5") : std::string();
  };
  const auto trial = [&](const std::string& settings) {
    const std::string method = "  method: {name: magnitude" + settings + "}\n";
    return load_sweep(write("derived.yaml", kHead + method), catalog).trials.at(0);
  };
  EXPECT_EQ(trial("").settings.text("method.density"), "0.2");
  const TrialSpec gradual = trial(", schedule: gradual");
  EXPECT_EQ(gradual.settings.text("method.density"), "0.5");
  EXPECT_EQ(gradual.canonical().find("method.density"), std::string::npos);
}

TEST_F(Identity, VersionsOtherThanTheFirstCount) {
  const Sweep sweep = load(kHead + "  method: {name: rigl, density: 0.05}\n");
  EXPECT_NE(sweep.trials[0].canonical().find("method.version=2\n"), std::string::npos);
}

TEST_F(Identity, SeedsFollowFromIdAndReplicateAlone) {
  const Sweep sweep = load(kHead + "  method: {name: dense}\naxes: [{replicate: 2}]\n");
  const TrialSeeds a = seeds_of(sweep.trials[0]), b = seeds_of(sweep.trials[1]);
  const std::set<std::uint64_t> all = {a.init, a.data_order, a.augment, a.method, a.dropout,
                                       b.init, b.data_order, b.augment, b.method, b.dropout};
  EXPECT_EQ(all.size(), 10u);
  EXPECT_EQ(a.init, 13805511850951160157u);
}

TEST_F(Identity, PairingSharesTheDataOrderBetweenMethods) {
  const std::string axes = "axes:\n  - cases: [dense, {name: snip, method.density: 0.5}]\n  - replicate: 2\n";
  const Sweep paired = load(kHead + axes + "pair: data_order\n"), apart = load(kHead + axes);
  const auto seeds = [](const Sweep& sweep, std::size_t i) { return seeds_of(sweep.trials.at(i)); };
  EXPECT_EQ(seeds(paired, 0).data_order, seeds(paired, 2).data_order);
  EXPECT_EQ(seeds(paired, 0).augment, seeds(paired, 2).augment);
  EXPECT_NE(seeds(paired, 0).init, seeds(paired, 2).init);
  EXPECT_NE(seeds(paired, 0).data_order, seeds(paired, 1).data_order);
  EXPECT_NE(seeds(apart, 0).data_order, seeds(apart, 2).data_order);
  EXPECT_NE(paired.trials[0].id, apart.trials[0].id);
}

TEST_F(Identity, PairingAllSharesTheInitialWeightsToo) {
  const Sweep paired = load(kHead +
                            "axes:\n  - cases: [dense, {name: snip, method.density: 0.5}]\n"
                            "  - model.name: [resnet20, vgg16]\n  - replicate: 2\npair: all\n");
  const auto seeds = [&](std::size_t i) { return seeds_of(paired.trials.at(i)); };
  const TrialSeeds dense = seeds(0), other_model = seeds(2), snip = seeds(4);
  EXPECT_EQ(dense.init, snip.init);
  EXPECT_EQ(dense.dropout, snip.dropout);
  EXPECT_EQ(dense.data_order, snip.data_order);
  EXPECT_NE(dense.method, snip.method) << "random choices of methods stay their own";
  EXPECT_NE(dense.init, other_model.init);
  EXPECT_NE(dense.init, seeds(1).init) << "another replicate is another start";
}

}  // namespace
}  // namespace winnow::test
