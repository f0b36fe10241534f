// Trials of two ranks with a device each against two ranks of the CPU: gradients, losses and decisions are summed from device
// to device. Ranks are threads. The sums are NCCL's where it is linked and there are two devices, else those of a test's own
// group, on emulated devices.
#include <gtest/gtest.h>

#include <cmath>

#include "distributed/training_step.h"
#include "kernels/gpu_libraries.h"
#include "kernels/gpus.h"
#include "tests/device/device_trial.h"
#include "tests/device/summing_group.h"
#include "tests/device/thread_ranks.h"
#include "tests/training/whole_trial.h"

namespace winnow::test {
namespace {

constexpr int kRanks = 2;
DeviceGroups groups_of_this_program() {
  if (const auto nccl = cuda::libraries().nccl; nccl != nullptr) return nccl();
#if defined(WINNOW_EMULATED)
  return SummingGroups().groups();
#else
  return {};
#endif
}
bool has_groups() {
  return kEmulated || (cuda::libraries().nccl != nullptr && cuda::survey_gpus().gpus.size() >= std::size_t{kRanks});
}

// By rank.
std::vector<Seen> on_host(const TrialCase& of) {
  std::vector<Seen> seen(kRanks);
  EXPECT_EQ(
      on_ranks(kRanks,
               [&](ThreadRank& comm) { seen[static_cast<std::size_t>(comm.rank())] = train(of, {.comm = &comm}); }),
      no_errors(kRanks));
  return seen;
}
std::vector<Seen> on_devices(const TrialCase& of) {
  std::vector<Seen> seen(kRanks);
  const DeviceGroups groups = groups_of_this_program();
  EXPECT_EQ(on_ranks(kRanks,
                     [&](ThreadRank& comm) {
                       DeviceRanks devices(comm, device_of(comm), {.time_limit = 60, .groups = groups});
                       seen[static_cast<std::size_t>(comm.rank())] = train(of, {devices.stream(), &comm, &devices});
                     }),
            no_errors(kRanks));
  return seen;
}

class TrialOfRanks : public testing::TestWithParam<TrialCase> {};

TEST_P(TrialOfRanks, FollowsTheRanksOfTheCpuAndRepeatsBitForBit) {
  if (!has_groups()) GTEST_SKIP() << "takes NCCL and two GPUs";
  const Seen expected = on_host(GetParam())[0];
  Seen first;
  for (int round = 0; round < 2; ++round) {
#if defined(WINNOW_EMULATED)
    machine_of(kRanks, round == 0 ? emulator::LaneOrder::Forward : emulator::LaneOrder::Shuffled);
#endif
    const std::vector<Seen> found = on_devices(GetParam());
#if defined(WINNOW_EMULATED)
    expect_clean_machine();
#endif
    expect_near(found[0], expected, GetParam().tolerance);
    EXPECT_EQ(found[0].bytes_sent, expected.bytes_sent);
    EXPECT_EQ(found[0].bytes_dense, expected.bytes_dense);
    EXPECT_EQ(found[1], found[0]) << "ranks differ";
    if (round == 0) first = found[0];
    EXPECT_EQ(found[0], first) << "depends on the order of lanes and queues";
  }
}

std::vector<TrialCase> trials_of_ranks() {
  std::vector<TrialCase> all = {
      {"sam", "lenet300", {{"name", "dense"}}, {{"optimizer", "sam"}}, tiny_images()},
      {"fused_statistics",
       "resnet20",
       {{"name", "dense"}},
       {{"epochs", "1"}, {"fuse_statistics", "true"}},
       tiny_images()},
      {"resting", "lenet300", recipe_of(find_method("freezeout")).method, {}, tiny_images()},
  };
  for (const char* name : {"snip", "rigl", "freezenet", "interspace", "imp", "edge_popup"}) {
    const Recipe recipe = recipe_of(find_method(name));
    all.push_back({recipe.name + "_lenet5", "lenet5", recipe.method, {}, small_images()});
    all.push_back({recipe.name + "_resnet20", "resnet20", recipe.method, {{"epochs", "1"}}, tiny_images()});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Trials, TrialOfRanks, testing::ValuesIn(trials_of_ranks()),
                         [](const auto& at) { return at.param.name; });

// Steps that were queued behind the one that went too far have sent nothing that counts. Twice the sum of a step with SAM.
TEST(RanksThatDiverge, SendAsManyBytesAsThoseOfTheCpu) {
  if (!has_groups()) GTEST_SKIP() << "takes NCCL and two GPUs";
  for (const char* optimizer : {"sgd", "sam"}) {
    for (const char* rate : {"1e6", "1e12"}) {
      SCOPED_TRACE(std::string(optimizer) + " " + rate);
      const TrialCase of = {
          "", "lenet300", {{"name", "dense"}}, {{"optimizer", optimizer}, {"lr", rate}}, tiny_images()};
      const Seen expected = on_host(of)[0];
#if defined(WINNOW_EMULATED)
      machine_of(kRanks);
#endif
      for (const Seen& found : on_devices(of)) {
        EXPECT_TRUE(expected.diverged && found.diverged);
        EXPECT_EQ(found.losses.size(), expected.losses.size());
        EXPECT_EQ(found.bytes_sent, expected.bytes_sent);
        EXPECT_EQ(found.bytes_dense, expected.bytes_dense);
      }
    }
  }
}

// What one rank finds is marked on all, from the batch on in which it was: whoever asks a rank is told the same.
TEST(RanksThatDiverge, AreMarkedAlikeThoughOneOfThemFoundIt) {
  constexpr std::int64_t kStep = 7;
  std::vector<RunStatus> marks(kRanks);
  const auto work = [&](ThreadRank& comm) {
    SmallTrial trial("lenet300", {{"name", "dense"}}, {{"batch", "4"}}, tiny_images(), {}, &comm);
    const TrainJob job = trial.job();
    const Network network(job.build, job.method, job.train, DType::F32, 1);
    ProgramCache programs;
    ParamStore& params = programs.begin(network.model(job.rows(), Use::Train), Optimizer::slots(job.train));
    const auto source = job.data.train(job.batch(), job.seeds.data_order, job.seeds.augment, job.slice());
    TrainingStep step(job, network, programs, *source);
    step.enter_phase(0);
    if (comm.rank() == 1) params.change(ParamId(0))[0] = HUGE_VALF;
    step.gradients(0, kStep, false);
    EXPECT_FALSE(step.results().at(0).finite);
    marks[static_cast<std::size_t>(comm.rank())] = step.status();
  };
  EXPECT_EQ(on_ranks(kRanks, work), no_errors(kRanks));
  for (const RunStatus& mark : marks) {
    EXPECT_NE(mark.not_finite, 0u);
    EXPECT_EQ(mark.since, kStep);
  }
}

#if defined(WINNOW_EMULATED)
// As `winnow run` trains it: the ranks of a group open their devices at the first trial and keep them for the next.
TEST(RanksOfARun, SumOnTheDevicesOfItsGroup) {
  TrialSpec spec = spec_of("{name: rigl, density: 0.2}", "epochs: 1, batch: 32, lr: 0.05");
  spec.ranks = kRanks;
  const auto run = [&](bool on_gpus) {
    std::vector<TrialResult> results(2);
    EXPECT_EQ(on_ranks(kRanks,
                       [&](ThreadRank& comm) {
                         GroupDevices devices;
                         RunTrialOptions options;
                         options.devices = &devices;
                         if (on_gpus) options.gpu = comm.rank();
                         for (TrialResult& result : results) {
                           TrialResult mine = run_trial(spec, comm, options);
                           if (comm.rank() == 0) result = std::move(mine);
                         }
                       }),
              no_errors(kRanks));
    return results;
  };
  const std::vector<TrialResult> expected = run(false);
  machine_of(kRanks);
  const std::vector<TrialResult> found = run(true);
  for (const TrialResult& result : found) {
    EXPECT_EQ(result.reason, "");
    EXPECT_NEAR(result.summary.at("final.test_loss"), expected[0].summary.at("final.test_loss"), 0.01);
    EXPECT_EQ(result.summary.at("bytes.sent"), expected[0].summary.at("bytes.sent"));
    EXPECT_EQ(result.provenance.at("device"), "cuda");
  }
  EXPECT_EQ(found[1].summary.at("final.test_loss"), found[0].summary.at("final.test_loss"));
  // 8 steps of two trials on two ranks, a bucket and the numbers of the step each, beside the products of three layers.
  EXPECT_GE(emulator::counts(emulator::Within::Graphs).library, 2u * 2u * 6u * (2u + 8u));
  expect_clean_machine();
}

// NCCL's abort would wait for ever for recordings that hold sums. The first trial's are there when the second one fails.
TEST(RanksOfARun, AGroupIsGivenUpAfterItsRecordings) {
  TrialSpec spec = spec_of("{name: dense}", "epochs: 1, batch: 32, lr: 0.05");
  spec.ranks = kRanks;
  machine_of(kRanks);
  const std::vector<std::string> errors = on_ranks(kRanks, [&](ThreadRank& comm) {
    GroupDevices devices;
    RunTrialOptions options;
    options.devices = &devices;
    options.gpu = comm.rank();
    run_trial(spec, comm, options);
    EXPECT_GT(emulator::live().graph_execs, 0u);
    if (comm.rank() == 0) emulator::fail("ncclRemoteError", 1, cudaErrorUnknown);
    run_trial(spec, comm, options);
  });
  for (const std::string& error : errors) EXPECT_NE(error, "");
  EXPECT_NE((errors[0] + errors[1]).find("remote process exited"), std::string::npos) << errors[0] << ", " << errors[1];
  expect_clean_machine();
}
#endif

}  // namespace
}  // namespace winnow::test
