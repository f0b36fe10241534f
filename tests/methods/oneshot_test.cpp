#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "core/error.h"
#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/density.h"
#include "tests/methods/trial_tools.h"

namespace winnow {
namespace {

test::Pairs oneshot(const test::Pairs& extra) { return test::method_of("oneshot", extra); }

struct Course : TrainObserver {
  std::vector<std::string> phases;
  std::vector<std::int64_t> first_steps, kept;
  std::vector<EpochReport> rows;
  std::vector<StepReport> steps;
  std::vector<std::vector<float>> weights;  // of the first tensor, when a phase begins
  void phase_started(const Phase& phase, TrainState& state) override {
    phases.push_back(phase.name);
    first_steps.push_back(phase.first_step);
    kept.push_back(test::survivors(state));
    const auto first = state.params().weight(state.prunable().front());
    weights.emplace_back(first.begin(), first.end());
  }
  void epoch_done(const EpochReport& report) override { rows.push_back(report); }
  void step_done(const StepReport& report) override { steps.push_back(report); }
};

TEST(OneShot, TrainsPrunesRecalibratesAndFineTunes) {
  auto trial = test::residual_trial(
      oneshot({{"density", "0.1"}, {"recalibrate", "2"}, {"fine_tune.epochs", "3it"}, {"fine_tune.lr", "0.003"}}),
      {{"epochs", "4it"}});
  Course course;
  trial.observer = &course;
  Trainer trainer = trial.make();
  EXPECT_EQ(trainer.run().step, 7);
  EXPECT_EQ(course.phases, (std::vector<std::string>{"train", "prune", "recalibrate", "fine_tune"}));
  EXPECT_EQ(course.first_steps, (std::vector<std::int64_t>{0, 4, 4, 4}));
  const std::int64_t all = course.kept.front(), kept = kept_count(all, sparsity_of(0.1));
  EXPECT_EQ(course.kept, (std::vector<std::int64_t>{all, kept, kept, kept}));
  // One row for each change of the network: training, the masks, the statistics, fine-tuning.
  ASSERT_EQ(course.rows.size(), 4u);
  for (int row = 0; row < 4; ++row) {
    EXPECT_EQ(course.rows[static_cast<std::size_t>(row)].phase, row);
    EXPECT_EQ(course.rows[static_cast<std::size_t>(row)].trained(), row == 0 || row == 3);
  }
  EXPECT_NE(course.rows[1].test.loss, course.rows[0].test.loss) << "pruned";
  EXPECT_NE(course.rows[2].test.loss, course.rows[1].test.loss) << "recalibrated";
  EXPECT_TRUE(std::isnan(course.rows[1].train_loss));
  EXPECT_EQ(course.rows[3].step, 7);
  for (const StepReport& step : course.steps) EXPECT_EQ(step.learning_rate, step.phase == 0 ? 0.05 : 0.003);
}

TEST(OneShot, KeepsTheLargestTrainedWeightsOfAllLayers) {
  test::SmallTrial trial("lenet300", oneshot({{"density", "0.05"}, {"fine_tune.epochs", "0"}}), {{"epochs", "3it"}});
  test::SmallTrial plain("lenet300", {{"name", "dense"}}, {{"epochs", "3it"}});
  Trainer pruned = trial.make(), dense = plain.make();
  EXPECT_EQ(pruned.run().step, 3);
  dense.run();
  std::vector<float> sizes;
  for (const ParamId id : dense.prunable()) {
    for (const float w : dense.params().weight(id)) sizes.push_back(std::fabs(w));
  }
  std::ranges::sort(sizes, std::greater());
  const float smallest = sizes[static_cast<std::size_t>(test::survivors(pruned)) - 1];
  for (const ParamId id : dense.prunable()) {
    const auto before = dense.params().weight(id), after = pruned.params().weight(id);
    for (std::size_t i = 0; i < before.size(); ++i) {
      ASSERT_EQ(after[i], std::fabs(before[i]) >= smallest ? before[i] : 0.0f);
    }
  }
}

TEST(OneShot, FineTuningHasARateAndAScheduleOfItsOwn) {
  test::SmallTrial trial("lenet300",
                         oneshot({{"density", "0.2"},
                                  {"fine_tune.epochs", "4it"},
                                  {"fine_tune.lr", "0.02"},
                                  {"fine_tune.schedule.kind", "multistep"},
                                  {"fine_tune.schedule.at", "[1it, 3it]"}}),
                         {{"epochs", "2it"}});
  Course course;
  trial.observer = &course;
  trial.make().run();
  ASSERT_EQ(course.steps.size(), 6u);
  const double rates[] = {0.05, 0.05, 0.02, 0.002, 0.002, 0.0002};
  for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(course.steps[i].learning_rate, rates[i], 1e-12) << i;
  EXPECT_NEAR(course.rows.back().learning_rate, 0.0002, 1e-12);
}

TEST(OneShot, CompressionCountsAllParameters) {
  EXPECT_NEAR(kept_share(1000, 100, 900, 4), 0.166667, 5e-7);
  for (const char* dense : {"[]", "[last]"}) {
    test::SmallTrial trial("lenet300",
                           oneshot({{"compression", "10"}, {"keep_dense", dense}, {"fine_tune.epochs", "1it"}}),
                           {{"epochs", "1it"}});
    Trainer trainer = trial.make();
    trainer.run();
    EXPECT_NEAR(static_cast<double>(test::survivors(trainer)), 266610.0 / 10 - 410, 1) << dense;
  }
}

TEST(OneShot, WhatCannotBeIsRefused) {
  const auto message = [](const test::Pairs& extra) {
    try {
      const auto edited = test::edited_model("lenet300", {}, oneshot(extra), {28, 28, 1, 10});
      Settings settings;
      for (const auto& [key, text] : extra) settings.set(key, text);
      const auto method = find_method("oneshot").make(resolve(find_method("oneshot").schema, settings));
      method->phase(2, {100, 5});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(message({{"density", "0.1"}}), "");
  EXPECT_NE(message({{"density", "0.1"}, {"compression", "4"}}).find("give one of them"), std::string::npos);
  EXPECT_NE(message({{"compression", "1000"}}).find("reachable: below 650"), std::string::npos);
  EXPECT_NE(message({}).find("density"), std::string::npos);
  EXPECT_NE(
      message({{"density", "0.1"}, {"fine_tune.schedule.kind", "multistep"}}).find("method.fine_tune.schedule.at"),
      std::string::npos);
}

// Fine-tuning may be longer than training, and its lengths must fit into it.
TEST(OneShot, LengthsOfFineTuningLieInIt) {
  const Schema& schema = find_method("oneshot").schema;
  const auto idle = [&](const char* every) {
    return idle_lengths(schema,
                        test::resolved(schema, {{"density", "0.1"},
                                                {"fine_tune.epochs", "30it"},
                                                {"fine_tune.schedule.kind", "step"},
                                                {"fine_tune.schedule.every", every}}),
                        {10, 5});
  };
  EXPECT_TRUE(idle("29it").empty());
  ASSERT_EQ(idle("30it").size(), 1u);
  EXPECT_EQ(idle("30it").front().key, "fine_tune.schedule.every");
  EXPECT_EQ(idle("30it").front().text, "30it cannot act: of its 30 steps at most 29 fit until fine_tune.epochs");
}

}  // namespace
}  // namespace winnow
