// Running statistics measured anew: what they become, and what that is good for.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/training/small_trial.h"

namespace winnow {
namespace {

using test::SmallTrial;

SmallTrial residual() {
  return SmallTrial("resnet20", {{"name", "dense"}}, {{"epochs", "2"}},
                    {{"height", "16"}, {"width", "16"}, {"channels", "3"}, {"examples", "320"}});
}

std::vector<std::vector<float>> buffers_of(Trainer& trainer) {
  std::vector<std::vector<float>> all;
  for (std::size_t b = 0; b < trainer.params().buffer_count(); ++b) {
    const auto values = trainer.params().buffer(b);
    all.emplace_back(values.begin(), values.end());
  }
  return all;
}

// Statistics of `batches` from batch `first` on, of the initial weights.
std::vector<std::vector<float>> recalibrated(std::int64_t first, std::int64_t batches) {
  SmallTrial trial = residual();
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  MemoryState state;
  trainer.save(state);
  state.put_value("cursor/batches", first);
  trainer.load(state);
  trainer.recalibrate(batches);
  return buffers_of(trainer);
}

TEST(Recalibrate, AveragesTheStatisticsOfTheComingBatches) {
  const auto first = recalibrated(0, 1), second = recalibrated(1, 1), both = recalibrated(0, 2);
  for (std::size_t b = 0; b < both.size(); ++b) {
    for (std::size_t i = 0; i < both[b].size(); ++i) {
      EXPECT_NEAR(both[b][i], (first[b][i] + second[b][i]) / 2, 1e-6 * (1 + std::fabs(both[b][i])));
    }
  }
  EXPECT_NE(first, second);
}

// With the statistics of a batch as running ones, evaluation sees that batch as training does, up to the factor
// n / (n - 1) between the variance that is kept and the one that is used.
TEST(Recalibrate, RunningStatisticsOfOneBatchAreThoseThatTrainingUses) {
  SmallTrial trial = residual();
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  const double before = trainer.probe({.norm = NormStatistics::Running}).loss;
  trainer.recalibrate(1);
  const double batch = trainer.probe({.norm = NormStatistics::Batch}).loss;
  EXPECT_NEAR(trainer.probe({.norm = NormStatistics::Running}).loss, batch, 1e-2 * batch);
  EXPECT_GT(std::fabs(before - batch), 1e-1 * batch);
}

TEST(Recalibrate, LeavesTrainingWhereItWas) {
  SmallTrial one = residual(), two = residual();
  Trainer plain = one.make(), trainer = two.make();
  plain.start_phase(0);
  trainer.start_phase(0);
  trainer.recalibrate(3);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(trainer.train_step().loss, plain.train_step().loss);
  EXPECT_EQ(test::all_weights(trainer), test::all_weights(plain));
}

// Statistics that fit other weights leave no trace.
TEST(Recalibrate, WhatWasThereBeforeDoesNotMatter) {
  SmallTrial trial = residual();
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  for (std::size_t b = 0; b < trainer.params().buffer_count(); ++b) {
    for (float& value : trainer.params().change_buffer(b)) value = 3 * value + 1;
  }
  trainer.recalibrate(2);
  const auto found = buffers_of(trainer), expected = recalibrated(0, 2);
  for (std::size_t b = 0; b < found.size(); ++b) {
    for (std::size_t i = 0; i < found[b].size(); ++i) {
      EXPECT_NEAR(found[b][i], expected[b][i], 1e-5 * (1 + std::fabs(expected[b][i])));
    }
  }
}

}  // namespace
}  // namespace winnow
