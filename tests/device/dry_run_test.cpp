// What a dry run says a step queues is what a step does queue: launches of the emulated device in a recorded step.
#include <gtest/gtest.h>

#include "distributed/dry_run.h"
#include "tests/device/emulated.h"
#include "tests/training/small_trial.h"

#if defined(WINNOW_EMULATED)
namespace winnow::test {
namespace {

std::size_t emulated_launches() {
  std::size_t sum = 0;
  for (const auto within : {emulator::Within::Direct, emulator::Within::Graphs}) {
    const emulator::Counts counts = emulator::counts(within);
    sum += counts.kernels + counts.library;
  }
  return sum;
}

std::size_t planned_launches(const DryRun& run) {
  std::size_t sum = 0;
  for (const DryRun::Part& part : run.parts) {
    for (const NodeWork& node : part.nodes) sum += static_cast<std::size_t>(part.times) * (node.launches + node.calls);
  }
  return sum;
}

struct DryCase {
  const char *name, *model, *optimizer, *precision;
  std::size_t ways_around = 0;  // launches more, for what the stand-in of a library does not offer and the plan assumes
  const char* fuse_statistics = "false";
};
void PrintTo(const DryCase& of, std::ostream* out) { *out << of.name; }

class DryRunOnDevice : public testing::TestWithParam<DryCase> {};

TEST_P(DryRunOnDevice, CountsTheLaunchesOfARecordedStep) {
  emulator::reset();
  const DryCase& of = GetParam();
  SmallTrial trial(of.model, {{"name", "dense"}},
                   {{"batch", "4"},
                    {"eval_batch", "10"},
                    {"optimizer", of.optimizer},
                    {"precision", of.precision},
                    {"fuse_statistics", of.fuse_statistics}},
                   {{"height", "8"}, {"width", "8"}, {"channels", "3"}, {"examples", "32"}, {"test_examples", "10"}});
  std::size_t launched = 0, arena = 0, scratch = 0, memory = 0;
  {
    ProgramCache programs(open_device());
    TrainJob job = trial.job();
    job.programs = &programs;
    Trainer trainer(job);
    trainer.start_phase(0);
    for (int step = 0; step < 3; ++step) trainer.train_step();
    emulator::reset_counts();
    trainer.train_step();
    launched = emulated_launches();
    arena = trainer.training_program().arena_bytes();
    scratch = trainer.training_program().scratch_bytes();
    memory = trainer.memory_bytes();
  }
  const DType compute = compute_type(trial.train(), Device::Dry);
  const DryRun run =
      dry_run(Network(trial.build(), trial.method(), trial.train(), compute, 1), trial.method(), trial.train(), 4, 10);
  EXPECT_GT(launched, 10u);
  EXPECT_EQ(planned_launches(run) + of.ways_around, launched);
  EXPECT_EQ(run.arena, arena);
  const std::size_t images = 4 * 8 * 8 * 3 * static_cast<std::size_t>(size_of(compute));
  // What a trial says that it takes. The plan does not know what a library asks for in evaluation.
  const std::size_t planned = run.params + run.arena + scratch + 2 * images + run.evaluation;
  EXPECT_GE(memory, planned);
  EXPECT_LE(memory, planned + scratch);
}

INSTANTIATE_TEST_SUITE_P(
    Models, DryRunOnDevice,
    testing::Values(DryCase{"lenet300", "lenet300", "sgd", "f32"}, DryCase{"lenet300_sam", "lenet300", "sam", "f32"},
                    // cuBLASLt's gradients of biases in bf16.
                    DryCase{"lenet300_bf16", "lenet300", "sgd", "bf16", 3}, DryCase{"conv2", "conv2", "sgd", "f32"},
                    // Three linear layers, as above.
                    DryCase{"conv2_bf16", "conv2", "sgd", "bf16", 3}, DryCase{"resnet20", "resnet20", "sgd", "f32"},
                    DryCase{"resnet20_fused", "resnet20", "sgd", "f32", 0, "true"},
                    // cuBLASLt's gradient of a bias in bf16.
                    DryCase{"resnet20_adam_bf16", "resnet20", "adam", "bf16", 1}),
    [](const auto& at) { return at.param.name; });

}  // namespace
}  // namespace winnow::test
#endif
