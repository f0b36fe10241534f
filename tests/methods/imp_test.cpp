#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "experiments/methods/registry.h"
#include "tests/methods/trial_tools.h"

namespace winnow {
namespace {

test::Pairs imp(const test::Pairs& extra) { return test::method_of("imp", extra); }

struct PhaseStarts : TrainObserver {
  std::vector<std::int64_t> first_steps, kept;
  void phase_started(const Phase& phase, TrainState& state) override {
    first_steps.push_back(phase.first_step);
    kept.push_back(test::survivors(state));
  }
};

TEST(Imp, SurvivorsOfEachLevelMatchSpecificationOracle) {
  const std::int64_t expected[] = {212960, 170368, 136294, 109035, 87228, 69782, 55825, 44660, 35728, 28582};
  test::SmallTrial trial("lenet300", imp({{"levels", "10"}, {"ignored", "[fc3]"}}), {{"epochs", "1it"}});
  PhaseStarts starts;
  trial.observer = &starts;
  trial.make().run();
  ASSERT_EQ(starts.kept.size(), 11u);
  for (std::size_t level = 1; level <= 10; ++level) EXPECT_EQ(starts.kept[level], expected[level - 1]) << level;
}

TEST(Imp, LevelsFollowFromTheDensityAndTheLastIsExact) {
  const auto levels = [](const char* density) {
    const auto method = find_method("imp").make(test::resolved(find_method("imp").schema, {{"density", density}}));
    int count = 0;
    while (method->phase(count, {100, 10})) ++count;
    return count - 1;
  };
  EXPECT_EQ(levels("1"), 0);
  EXPECT_EQ(levels("0.8"), 1);
  EXPECT_EQ(levels("0.512"), 3);
  EXPECT_EQ(levels("0.5"), 4);
  EXPECT_EQ(levels("0.1"), 11);
  test::SmallTrial trial("lenet300", imp({{"density", "0.5"}}), {{"epochs", "3it"}});
  Trainer trainer = trial.make();
  trainer.run();
  EXPECT_EQ(test::survivors(trainer), 133100);
}

TEST(Imp, OneLevelIsOneShotPruningAfterTraining) {
  test::SmallTrial trial("lenet300",
                         imp({{"density", "0.1"}, {"rate", "0.9"}, {"back", "nothing"}, {"fine_tune", "2it"}}),
                         {{"epochs", "3it"}});
  PhaseStarts starts;
  trial.observer = &starts;
  trial.make().run();
  EXPECT_EQ(starts.first_steps, (std::vector<std::int64_t>{0, 1}));
  EXPECT_EQ(starts.kept, (std::vector<std::int64_t>{266200, 26620}));
}

TEST(Imp, GivenLevelsTheDensityIsTheOneTheyReach) {
  const Schema& schema = find_method("imp").schema;
  const auto density = [&](const test::Pairs& given) { return test::resolved(schema, given).text("density"); };
  EXPECT_EQ(density({}), "0.2");
  EXPECT_EQ(density({{"levels", "3"}}), "0.512");
  EXPECT_EQ(density({{"levels", "10"}}), "0.107374");
  EXPECT_EQ(density({{"levels", "2"}, {"rate", "0.5"}}), "0.25");
}

TEST(Imp, ADensityThatTheLevelsDoNotReachIsRefused) {
  const auto make = [](const test::Pairs& given) {
    find_method("imp").make(test::resolved(find_method("imp").schema, given));
  };
  make({{"levels", "10"}, {"density", "0.1074"}});
  for (const char* density : {"0.1", "0.2"}) {
    try {
      make({{"levels", "10"}, {"density", density}});
      ADD_FAILURE() << density;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("which is 0.107374"), std::string::npos);
    }
  }
}

TEST(Imp, PhasesGoBackAsTheSettingSays) {
  const auto phase = [](const char* back) {
    const auto method = find_method("imp").make(test::resolved(
        find_method("imp").schema, {{"back", back}, {"rewind_to", "20it"}, {"fine_tune", "3ep"}, {"levels", "1"}}));
    return method->phase(1, {100, 10}).value();
  };
  EXPECT_EQ(phase("weights").start, Phase::Start::Rewind);
  EXPECT_EQ(phase("weights").first_step, 20);
  EXPECT_EQ(phase("learning_rate").start, Phase::Start::Continue);
  EXPECT_EQ(phase("learning_rate").first_step, 20);
  EXPECT_EQ(phase("nothing").start, Phase::Start::Continue);
  EXPECT_EQ(phase("nothing").first_step, 70);
  for (const char* back : {"weights", "learning_rate", "nothing"}) EXPECT_EQ(phase(back).last_step, 100);
}

TEST(Imp, RewindsToTheWeightsOfTheRewindStep) {
  test::SmallTrial trial("lenet300", imp({{"levels", "1"}, {"rewind_to", "3it"}}), {{"epochs", "10it"}});
  test::SmallTrial plain("lenet300", {{"name", "dense"}}, {{"epochs", "10it"}});
  Trainer b = plain.make();
  b.start_phase(0);
  for (int step = 0; step < 3; ++step) b.train_step();
  const auto rewound = test::copy_of(b, "fc1.weight");
  struct Spy : TrainObserver {
    std::vector<float> start;
    std::int64_t step = -1;
    void phase_started(const Phase& phase, TrainState& state) override {
      if (phase.name != "level1") return;
      const auto w = state.params().weight(ParamId(0));
      start.assign(w.begin(), w.end());
      step = state.step();
    }
  } spy;
  trial.observer = &spy;
  Trainer c = trial.make();
  c.run();
  EXPECT_EQ(spy.step, 3);
  const auto keep = c.params().mask(ParamId(0), MaskKind::Keep);
  for (std::size_t i = 0; i < keep.size(); ++i) ASSERT_EQ(spy.start[i], keep[i] != 0 ? rewound[i] : 0.0f);
}

TEST(Imp, ShufflingControlsKeepCountsAndTakeTheRewoundWeights) {
  for (const char* control : {"shuffle_layer", "shuffle_global", "reinitialise"}) {
    test::SmallTrial base("lenet300", imp({{"levels", "2"}, {"rewind_to", "2it"}}), {{"epochs", "6it"}});
    test::SmallTrial shuffled("lenet300", imp({{"levels", "2"}, {"rewind_to", "2it"}, {"control", control}}),
                              {{"epochs", "6it"}});
    Trainer a = base.make(), b = shuffled.make();
    a.run();
    b.run();
    EXPECT_EQ(test::survivors(a), test::survivors(b));
    const ParamId id = test::named(a, "fc1.weight");
    const auto ka = a.params().mask(id, MaskKind::Keep), kb = b.params().mask(id, MaskKind::Keep);
    const bool same_mask = std::equal(ka.begin(), ka.end(), kb.begin());
    EXPECT_EQ(same_mask, std::string(control) == "reinitialise");
    EXPECT_EQ(a.params().count(id, MaskKind::Keep) == b.params().count(id, MaskKind::Keep),
              std::string(control) != "shuffle_global");
    // All kept weights have values: the rewound ones, not zeros of the old mask.
    std::int64_t zeros = 0;
    const auto w = b.params().weight(id);
    for (std::size_t i = 0; i < kb.size(); ++i) zeros += kb[i] != 0 && w[i] == 0;
    EXPECT_LT(zeros, 10) << control;
  }
  EXPECT_THROW(find_method("imp").make(test::resolved(find_method("imp").schema,
                                                      {{"control", "shuffle_layer"}, {"back", "learning_rate"}})),
               Error);
}

TEST(Imp, LearnsAtEveryLevel) {
  for (const char* back : {"weights", "learning_rate", "nothing"}) {
    auto trial = test::residual_trial(
        imp({{"density", "0.8"}, {"back", back}, {"rewind_to", "5it"}, {"fine_tune", "1ep"}}), {{"epochs", "6"}});
    Trainer trainer = trial.make();
    EXPECT_FALSE(trainer.run().diverged);
    EXPECT_GT(trainer.evaluate(Split::Test).accuracy, .3) << back;
  }
}

}  // namespace
}  // namespace winnow
