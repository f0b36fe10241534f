// How ranks with a device each go together, in recorded steps as well: what travels when, that every rank takes the same decision,
// and that ranks that fail, do not come or do not fit are said. On emulated devices alone, since it looks into their queues.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <limits>
#include <thread>

#include "kernels/for_each.h"
#include "kernels/functors/gather_scalars.h"
#include "kernels/gpu_libraries.h"
#include "tests/device/device_trial.h"
#include "tests/device/summing_group.h"
#include "tests/device/thread_ranks.h"

#if defined(WINNOW_EMULATED)

namespace winnow::test {
namespace {

using emulator::Within;

SmallTrial trial_of(ThreadRank& comm, const std::string& model = "lenet300") {
  Pairs data = tiny_images();
  data.insert(data.end(), {{"examples", "24"}, {"test_examples", "12"}});
  return SmallTrial(model, {{"name", "dense"}}, {{"batch", "12"}, {"eval_batch", "12"}}, data, {}, &comm);
}

// Steps of a trial on as many devices, each rank with its trainer.
std::vector<std::string> steps_on_devices(int ranks, const DeviceGroups& groups, double time_limit,
                                          const std::function<void(ThreadRank&, Trainer&)>& work,
                                          const std::string& model = "lenet300") {
  machine_of(ranks);
  return on_ranks(ranks, [&](ThreadRank& comm) {
    DeviceRanks devices(comm, device_of(comm), {.time_limit = time_limit, .groups = groups});
    SmallTrial trial = trial_of(comm, model);
    ProgramCache programs(devices.stream());
    devices.before_abort([&programs] { programs.forget_recordings(); });
    TrainJob job = trial.job();
    job.programs = &programs;
    job.devices = &devices;
    Trainer trainer(job);
    trainer.start_phase(0);
    work(comm, trainer);
  });
}

TEST(DeviceRanks, ARecordedStepTakesItsSumsAlongAndLeavesMpiAlone) {
  constexpr std::size_t kRanks = 2, kSteps = 5, kSums = 2;  // one bucket, and the numbers of the step
  SummingGroups groups;
  std::vector<std::int64_t> met(kRanks, -1);
  EXPECT_EQ(steps_on_devices(kRanks, groups.groups(), 60,
                             [&](ThreadRank& comm, Trainer& trainer) {
                               const std::int64_t before = comm.collectives();
                               for (std::size_t step = 0; step < kSteps; ++step) trainer.train_step();
                               met[static_cast<std::size_t>(comm.rank())] = comm.collectives() - before;
                               EXPECT_EQ(comm.times_heard(), 0);
                               EXPECT_EQ(comm.attendance()->heard(comm.rank()), -1) << "no step has to say anything";
                             }),
            no_errors(2));
  EXPECT_EQ(met, (std::vector<std::int64_t>{0, 0}));
  EXPECT_EQ(groups.sums(), kSteps * kSums);
  // Layers too are of libraries; the first step is not recorded.
  const std::size_t of_a_step = emulator::counts(Within::Direct).library;
  EXPECT_GT(of_a_step, kRanks * kSums);
  EXPECT_EQ(emulator::counts(Within::Graphs).library, of_a_step * (kSteps - 1));
  expect_clean_machine();
}

// A message waits for what is queued when it is. Rank 1 lets rank 0 queue its whole pass first, so that the kernels are rank 0's.
TEST(DeviceRanks, ASumIsQueuedInTheMidstOfTheReversePass) {
  SummingGroups groups;
  EXPECT_EQ(steps_on_devices(
                2, groups.groups(), 60,
                [&](ThreadRank& comm, Trainer& trainer) {
                  while (comm.rank() == 1 && groups.kernels_before(0).size() < 3) std::this_thread::yield();
                  trainer.train_step();
                },
                "resnet20"),
            no_errors(2));
  const std::vector<std::size_t> kernels = groups.kernels_before(0);
  ASSERT_EQ(kernels.size(), 3u) << "two buckets, and the numbers of the step";
  EXPECT_GT(kernels[1] - kernels[0], 10u) << "the second bucket comes of three layers";
}

// Then nothing but the numbers itself makes the group's queue wait for what computes them, recorded or not.
TEST(DeviceRanks, LossesAreSummedThoughMasksLeaveNoGradientToTravel) {
  constexpr std::size_t kSteps = 4;
  std::vector<double> expected(kSteps), found(kSteps);
  const auto steps = [](Trainer& trainer, std::vector<double>& losses) {
    for (std::size_t p = 0; p < trainer.params().specs().size(); ++p) {
      const std::vector<std::uint8_t> none(static_cast<std::size_t>(trainer.params().specs()[p].shape.numel()));
      trainer.params().replace_mask(ParamId(p), MaskKind::Trainable, none);
    }
    for (double& loss : losses) loss = trainer.train_step().loss;
  };
  const auto both = [&](ThreadRank& comm, Trainer& trainer, std::vector<double>& losses) {
    std::vector<double> of_other(kSteps);
    steps(trainer, comm.rank() == 0 ? losses : of_other);
  };
  EXPECT_EQ(on_ranks(2,
                     [&](ThreadRank& comm) {
                       SmallTrial trial = trial_of(comm);
                       Trainer trainer(trial.job());
                       trainer.start_phase(0);
                       both(comm, trainer, expected);
                     }),
            no_errors(2));
  SummingGroups groups;
  EXPECT_EQ(
      steps_on_devices(2, groups.groups(), 60, [&](ThreadRank& comm, Trainer& trainer) { both(comm, trainer, found); }),
      no_errors(2));
  EXPECT_EQ(groups.sums(), kSteps);
  for (std::size_t i = 0; i < kSteps; ++i) EXPECT_NEAR(found[i], expected[i], 1e-4) << "step " << i;
  expect_clean_machine();
}

TEST(DeviceRanks, WhatOneRankFindsEndsTheTrialOnAllAtTheSameStep) {
  SummingGroups groups;
  std::vector<StepReport> reports(2);
  EXPECT_EQ(steps_on_devices(2, groups.groups(), 60,
                             [&](ThreadRank& comm, Trainer& trainer) {
                               trainer.train_step();
                               const auto rank = static_cast<std::size_t>(comm.rank());
                               if (rank == 1)
                                 trainer.params().change(ParamId(0))[0] = std::numeric_limits<float>::infinity();
                               reports[rank] = trainer.train_step();
                             }),
            no_errors(2));
  for (const StepReport& report : reports) {
    EXPECT_TRUE(report.diverged);
    EXPECT_FALSE(report.updated);
    EXPECT_EQ(report.step, 1);
  }
}

TEST(DeviceRanks, AMarkOfOneRankIsSummedThoughAllLossesAreFinite) {
  for (const bool mark : {false, true}) {
    RunState state;
    state.feed.step = 9;
    float loss = 0, buffer[] = {2.5f, 7.0f, mark ? 1.0f : 0.0f};
    std::int32_t correct = 0;
    const ScalarPlace numbers[] = {{&loss, ScalarPlace::Type::F32}, {&correct, ScalarPlace::Type::I32}};
    for_each(Exec{}, 3, ScatterScalars{numbers, 2, &state, buffer});
    EXPECT_EQ(loss, 2.5f);
    EXPECT_EQ(correct, 7);
    EXPECT_EQ(state.status.not_finite, mark ? 1u : 0u);
    EXPECT_EQ(state.status.since, mark ? 9u : 0u);
    float gathered[3];
    for_each(Exec{}, 3, GatherScalars{numbers, 2, &state, gathered});
    EXPECT_EQ(gathered[1], 7.0f);
    EXPECT_EQ(gathered[2], buffer[2]);
  }
}

TEST(DeviceRanks, ARankThatIsLateIsWaitedFor) {
  SummingGroups groups;
  EXPECT_EQ(steps_on_devices(2, groups.groups(), 30,
                             [&](ThreadRank& comm, Trainer& trainer) {
                               if (comm.rank() == 1) std::this_thread::sleep_for(std::chrono::milliseconds(700));
                               trainer.train_step();
                             }),
            no_errors(2));
}

// By MPI what others say comes in only while somebody asks for it.
TEST(DeviceRanks, ARankThatHasSaidThatItWaitsAsksWhatOthersSay) {
  SummingGroups groups;
  std::int64_t asked = 0;
  EXPECT_EQ(steps_on_devices(2, groups.groups(), 4,
                             [&](ThreadRank& comm, Trainer& trainer) {
                               if (comm.rank() == 1) std::this_thread::sleep_for(std::chrono::milliseconds(1400));
                               trainer.train_step();
                               if (comm.rank() == 0) asked = comm.times_heard();
                             }),
            no_errors(2));
  EXPECT_GT(asked, 0) << "a second after it began to wait, and while it goes on";
}

// Stops after two steps, which the last rank is slow to take in.
class StopsSlowly final : public TrainObserver {
 public:
  explicit StopsSlowly(bool slow) : slow_(slow) {}
  Wish wish() override { return ++asked_ > 2 ? Wish::Stop : Wish::GoOn; }
  void step_done(const StepReport&) override {
    if (slow_) std::this_thread::sleep_for(std::chrono::milliseconds(200));
    ++done;
  }
  std::atomic<int> done = 0;

 private:
  bool slow_;
  int asked_ = 0;
};

TEST(DeviceRanks, NoneLeavesAStoppedTrialWhileAnotherIsInItsLastSteps) {
  machine_of(2);
  SummingGroups groups;
  StopsSlowly quick(false), slow(true);
  int done_when_left = -1;
  const std::vector<std::string> errors = on_ranks(2, [&](ThreadRank& comm) {
    DeviceRanks devices(comm, device_of(comm), {.time_limit = 60, .groups = groups.groups()});
    SmallTrial trial("lenet300", {{"name", "dense"}}, {{"batch", "4"}, {"eval_batch", "10"}}, tiny_images(), {}, &comm);
    trial.observer = comm.rank() == 0 ? &quick : &slow;
    ProgramCache programs(devices.stream());
    TrainJob job = trial.job();
    job.programs = &programs;
    job.devices = &devices;
    Trainer trainer(job);
    try {
      trainer.run();
    } catch (const Error& error) {
      if (comm.rank() == 0) done_when_left = slow.done;
      if (error.kind() != ErrorKind::Stopped) throw;
    }
  });
  EXPECT_EQ(errors, no_errors(2));
  EXPECT_EQ(done_when_left, 2);
}

void expect_the_absent_rank_is_named(const DeviceGroups& groups) {
  const auto start = std::chrono::steady_clock::now();
  const std::vector<std::string> errors = steps_on_devices(3, groups, 1, [&](ThreadRank& comm, Trainer& trainer) {
    for (int step = 0; step < (comm.rank() == 1 ? 3 : 4); ++step) trainer.train_step();  // recorded steps as well
  });
  // 192 * 300 + 300, 300 * 100 + 100, 100 * 3 + 3 entries, a loss, a count and the mark.
  const std::string said =
      "the sums of a step of 3 ranks (2 messages, 353224 bytes): not done after 1 s; rank 1 did not come to it";
  EXPECT_EQ(errors, (std::vector<std::string>{said, "", said}));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
  expect_clean_machine();
}

TEST(DeviceRanks, ARankThatDoesNotComeIsNamedAfterTheTimeLimit) {
  SummingGroups groups;
  expect_the_absent_rank_is_named(groups.groups());
}

TEST(DeviceRanks, ARankThatDoesNotComeToNcclIsNamedAfterTheTimeLimit) {
  const auto nccl = cuda::libraries().nccl;
  if (nccl == nullptr) GTEST_SKIP() << "built without NCCL";
  expect_the_absent_rank_is_named(nccl());
}

// What rank 0 says of a second step, which it records and rank 1 does not come to; `goes_wrong` happens before it.
std::string error_of_a_recorded_step(const std::function<void()>& goes_wrong) {
  std::atomic<bool> over = false;
  const std::vector<std::string> errors = steps_on_devices(
      2, cuda::libraries().nccl(), 60,
      [&](ThreadRank& comm, Trainer& trainer) {
        trainer.train_step();
        if (comm.rank() == 1) {
          while (!over) std::this_thread::yield();
          return;
        }
        goes_wrong();
        try {
          trainer.train_step();
        } catch (const RanksLost&) {
          over = true;
          throw;
        } catch (...) {
          ADD_FAILURE() << "says nothing of lost ranks";
          over = true;
          throw;
        }
      },
      "resnet20");  // three messages: NCCL has not done its part of the second one at once
  expect_clean_machine();
  return errors[0];
}

const std::string kStepOfTwo = "the sums of a step of 2 ranks (3 messages, 1077080 bytes): ";

TEST(DeviceRanks, ARankThatGoesWhileAnotherOneRecordsItsSumsIsGivenUpWithoutWaitingForEver) {
  if (cuda::libraries().nccl == nullptr) GTEST_SKIP() << "built without NCCL";
  const std::string said = error_of_a_recorded_step([] { emulator::fail("ncclRemoteError", 1, cudaErrorUnknown); });
  // By who waits for NCCL, or by the next sum: whoever asks first, on either rank, hears it first.
  EXPECT_TRUE(said.starts_with(kStepOfTwo)) << said;
  EXPECT_NE(said.find("remote process exited or there was a network error"), std::string::npos) << said;
}

TEST(DeviceRanks, ASumThatNcclRefusesAtOnceIsOneOfLostRanks) {
  if (cuda::libraries().nccl == nullptr) GTEST_SKIP() << "built without NCCL";
  const std::string said = error_of_a_recorded_step([] { emulator::fail("ncclAllReduce", 1, cudaErrorUnknown); });
  EXPECT_TRUE(said.starts_with(kStepOfTwo + "ncclAllReduce: unhandled cuda error")) << said;
}

TEST(DeviceRanks, AGroupThatCannotBeOpenedIsSaidByTheRankThatFailsAndTheOthersDoNotWaitForEver) {
  machine_of(2);
  SummingGroups groups;
  groups.fails_to_open = 1;
  const std::vector<std::string> errors = on_ranks(2, [&](ThreadRank& comm) {
    DeviceRanks devices(comm, device_of(comm), {.time_limit = 0.5, .groups = groups.groups()});
  });
  EXPECT_EQ(errors[0], "opening the group of 2 ranks: not done after 0.5 s; rank 1 did not come to it");
  EXPECT_EQ(errors[1], "opening the group of 2 ranks: no memory for the group");
  expect_clean_machine();
}

TEST(DeviceRanks, TwoRanksOnOneDeviceAreRefusedBeforeAGroupIsOpened) {
  machine_of(2);
  SummingGroups groups;
  const std::vector<std::string> errors = on_ranks(
      2, [&](ThreadRank& comm) { DeviceRanks devices(comm, cuda::open_stream(1), {.groups = groups.groups()}); });
  const std::string said =
      "ranks 0 and 1 of a trial have the same GPU, Emulated GPU GPU-02000000-0000-0000-0000-000000000000: a trial "
      "takes one GPU a rank";
  EXPECT_EQ(errors, (std::vector<std::string>{said, said}));
}

TEST(DeviceRanks, GpusOfTwoModelsAreRefused) {
  const std::vector<std::string> errors = on_ranks(3, [&](ThreadRank& comm) {
    check_devices(comm, {comm.rank() == 2 ? "NVIDIA A100" : "NVIDIA H100", std::to_string(comm.rank())});
  });
  const std::string said =
      "rank 0 of a trial has the GPU NVIDIA H100, rank 2 the GPU NVIDIA A100: a trial takes GPUs of one model";
  EXPECT_EQ(errors, std::vector<std::string>(3, said));
}

TEST(DeviceRanks, AProgramWithoutNcclSaysSoOnAllRanks) {
  machine_of(2);
  const std::vector<std::string> errors =
      on_ranks(2, [&](ThreadRank& comm) { DeviceRanks devices(comm, device_of(comm), {.groups = {}}); });
  EXPECT_EQ(errors, std::vector<std::string>(2, "this winnow was built without NCCL, which sums over GPUs"));
}

}  // namespace
}  // namespace winnow::test

#endif
