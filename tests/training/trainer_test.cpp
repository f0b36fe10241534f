#include "distributed/trainer.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "kernels/processor.h"
#include "tests/core/allocation_count.h"
#include "tests/training/small_trial.h"

namespace winnow {
namespace {

using test::all_weights;
using test::SmallTrial;

TEST(Trainer, LearnsSyntheticImages) {
  for (const char* precision : {"f32", "bf16"}) {
    SmallTrial trial("lenet300", {{"name", "dense"}}, {{"precision", precision}, {"epochs", "6"}});
    Trainer trainer = trial.make();
    const auto outcome = trainer.run();
    EXPECT_FALSE(outcome.diverged);
    EXPECT_EQ(outcome.step, 6 * 20);
    EXPECT_GT(trainer.evaluate(Split::Test).accuracy, 0.84) << precision;
  }
}

TEST(Trainer, ConvolutionalNetWithBatchNormLearns) {
  SmallTrial trial("resnet20", {{"name", "dense"}}, {{"epochs", "4"}},
                   {{"height", "16"}, {"width", "16"}, {"channels", "3"}});
  Trainer trainer = trial.make();
  trainer.run();
  EXPECT_GT(trainer.evaluate(Split::Test).accuracy, 0.8);
}

TEST(Trainer, TheSameTrialGivesTheSameBits) {
  std::vector<std::vector<float>> runs;
  for (int run = 0; run < 2; ++run) {
    SmallTrial trial("lenet5");
    Trainer trainer = trial.make();
    trainer.run();
    runs.push_back(all_weights(trainer));
  }
  EXPECT_EQ(runs[0], runs[1]);
}

TEST(Trainer, GoesOnFromASavedStateAsIfNothingHappened) {
  SmallTrial trial("lenet300");
  Trainer whole = trial.make();
  whole.start_phase(0);
  for (int i = 0; i < 7; ++i) whole.train_step();
  MemoryState state;
  whole.save(state);
  for (int i = 0; i < 5; ++i) whole.train_step();

  SmallTrial other("lenet300");
  Trainer resumed = other.make();
  resumed.start_phase(0);
  resumed.load(state);
  EXPECT_TRUE(state.unread().empty());
  for (int i = 0; i < 5; ++i) resumed.train_step();
  EXPECT_EQ(all_weights(whole), all_weights(resumed));
  EXPECT_EQ(resumed.step(), 12);
}

#if WINNOW_COUNTS_ALLOCATIONS
// Our own code allocates nothing in a step (ProgramTest counts that exactly); the calls into oneDNN
// make small argument lists, which cannot be avoided from outside, and no buffers.
TEST(Trainer, AStepAllocatesNoBuffer) {
  if (!processor_computes_bf16())
    GTEST_SKIP() << "without AVX-512 oneDNN's products in f32 allocate buffers of their own";
  for (const char* model : {"lenet300", "lenet5", "conv2"}) {
    SmallTrial trial(model);
    Trainer trainer = trial.make();
    trainer.start_phase(0);
    for (int i = 0; i < 3; ++i) trainer.train_step();
    const std::size_t before = test::buffer_allocation_count();
    for (int i = 0; i < 5; ++i) trainer.train_step();
    EXPECT_EQ(test::buffer_allocation_count() - before, 0u) << model;
  }
}
#endif

TEST(Trainer, ALossThatIsNotFiniteEndsTheRunAsDiverged) {
  SmallTrial trial("lenet300", {{"name", "dense"}}, {{"lr", "1e11"}, {"epochs", "3"}});
  Trainer trainer = trial.make();
  const auto outcome = trainer.run();
  EXPECT_TRUE(outcome.diverged);
  EXPECT_GT(outcome.step, 0);
  EXPECT_LT(outcome.step, 10);
}

bool all_finite(Trainer& trainer) {
  bool finite = true;
  for (const float value : all_weights(trainer)) finite = finite && std::isfinite(value);
  for (std::size_t b = 0; b < trainer.params().buffer_count(); ++b) {
    for (const float value : trainer.params().buffer(b)) finite = finite && std::isfinite(value);
  }
  return finite;
}

// Batch norm hides the size of weights from the loss, but not from running statistics.
TEST(Trainer, AFinishedRunHasFiniteWeightsAndStatistics) {
  for (const char* lr : {"10", "1e4", "1e8", "1e12"}) {
    SmallTrial trial("resnet20", {{"name", "dense"}}, {{"lr", lr}, {"epochs", "6it"}},
                     {{"height", "8"}, {"width", "8"}, {"channels", "3"}, {"examples", "320"}});
    Trainer trainer = trial.make();
    const auto outcome = trainer.run();
    EXPECT_TRUE(outcome.diverged || all_finite(trainer)) << lr;
    EXPECT_TRUE(outcome.diverged || std::string(lr) != "1e12");
    EXPECT_TRUE(!outcome.diverged || outcome.step < 6) << lr;
  }
}

// A running variance that overflows while the loss is a number: the batch is used up, nothing is updated.
TEST(Trainer, AnOverflowStopsTheUpdateOfItsStep) {
  SmallTrial trial("resnet20", {{"name", "dense"}}, {},
                   {{"height", "8"}, {"width", "8"}, {"channels", "3"}, {"examples", "320"}});
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  EXPECT_FALSE(trainer.train_step().diverged);
  const std::vector<float> before = all_weights(trainer);
  trainer.params().change_buffer(1)[0] = INFINITY;
  const StepReport report = trainer.train_step();
  EXPECT_TRUE(std::isfinite(report.loss));
  EXPECT_TRUE(report.diverged);
  EXPECT_FALSE(report.updated);
  EXPECT_EQ(report.step, 1);
  EXPECT_EQ(all_weights(trainer), before);
}

TEST(Trainer, StartValuesReplaceTheDraw) {
  SmallTrial trial("lenet300");
  trial.start["fc1.bias"] = std::vector<float>(300, 0.25f);
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  std::size_t found = 0;
  for (std::size_t p = 0; p < trainer.params().size(); ++p) {
    if (trainer.model().params[p].name != "fc1.bias") continue;
    ++found;
    for (const float value : trainer.params().weight(ParamId(p))) EXPECT_EQ(value, 0.25f);
  }
  EXPECT_EQ(found, 1u);
  trial.start["nothing.weight"] = {1.0f};
  Trainer wrong = trial.make();
  EXPECT_THROW(wrong.start_phase(0), Error);
}

}  // namespace
}  // namespace winnow
