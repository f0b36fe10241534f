// A trial takes its memory of a device while it is set up, where a lack of it can be mended: what the worker kept of the trial
// before makes room, and the ranks of a group hear of a failure. On emulated devices, whose memory can be made to fail.
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "tests/device/device_trial.h"
#include "tests/device/summing_group.h"
#include "tests/device/thread_ranks.h"
#include "tests/training/whole_trial.h"

#if defined(WINNOW_EMULATED)
namespace winnow::test {
namespace {

void fail_allocation(int nth) { emulator::fail("cudaMalloc", nth, cudaErrorMemoryAllocation); }

// Is a failure of one of the next `nth` allocations still to come? Takes it away.
bool was_to_come(int nth) {
  const auto stream = cuda::open_stream(0);
  for (int i = 0; i < nth; ++i) {
    try {
      stream->release(stream->allocate(1));
    } catch (const DeviceMemoryError&) {
      return true;
    }
  }
  return false;
}

struct MemoryCase {
  std::string method, optimizer = "sgd", validation = "0";
};
void PrintTo(const MemoryCase& of, std::ostream* out) { *out << of.method << "_" << of.optimizer; }

class DeviceMemory : public testing::TestWithParam<MemoryCase> {};

TEST_P(DeviceMemory, IsTakenBeforeTheFirstStepOnOneRankAndOnTwo) {
  const auto& [method, optimizer, validation] = GetParam();
  Pairs data = tiny_images();
  data.insert(data.end(), {{"examples", "36"}, {"test_examples", "10"}, {"validation", validation}});
  for (const int ranks : {1, 2}) {
    SCOPED_TRACE(ranks);
    machine_of(ranks);
    SummingGroups groups;
    EXPECT_EQ(on_ranks(ranks,
                       [&](ThreadRank& comm) {
                         const auto stream = cuda::open_stream(comm.rank());
                         std::optional<DeviceRanks> devices;
                         if (ranks > 1) devices.emplace(comm, stream, DeviceRanks::Options{60, groups.groups()});
                         SmallTrial trial("lenet300", recipe_of(find_method(method)).method,
                                          {{"batch", "4"}, {"eval_batch", "10"}, {"optimizer", optimizer}}, data, {},
                                          &comm);
                         ProgramCache programs(stream);
                         TrainJob job = trial.job();
                         job.programs = &programs;
                         job.devices = devices ? &*devices : nullptr;
                         Trainer trainer(job);
                         std::uint64_t all_here[] = {0};
                         comm.all_reduce_max(all_here);
                         if (comm.rank() == 0) fail_allocation(1);
                         comm.all_reduce_max(all_here);
                         trainer.run();
                       }),
              no_errors(ranks));
    EXPECT_TRUE(was_to_come(1)) << "an allocation failed and nobody heard";
  }
}

INSTANTIATE_TEST_SUITE_P(Trials, DeviceMemory,
                         testing::Values(MemoryCase{"dense", "sgd", "4"}, MemoryCase{"dense", "sam"},
                                         MemoryCase{"rigl"}, MemoryCase{"freezenet"}, MemoryCase{"born_again"}),
                         [](const auto& at) { return at.param.method + "_" + at.param.optimizer; });

// In a thread of its own, which takes the stream and its memory with it.
TEST(MemoryOfTheLastTrial, MakesRoomWhateverIsMissing) {
  emulator::reset();
  // Of another shape each time, since a trial of the same one takes no memory at all.
  const auto spec = [](int nth) {
    return spec_of("{name: dense}", nth % 2 == 0 ? "epochs: 1, batch: 64, lr: 0.05, precision: f32, eval_batch: 64"
                                                 : "epochs: 1, batch: 32, lr: 0.05, precision: f32, eval_batch: 32");
  };
  int missing = 0;
  std::thread([&] {
    const auto self = make_self();
    RunTrialOptions options;
    options.gpu = 0;
    EXPECT_EQ(run_trial(spec(0), *self, options).reason, "");
    for (int nth = 1; nth < 100; ++nth) {
      fail_allocation(nth);
      EXPECT_EQ(run_trial(spec(nth), *self, options).reason, "") << "allocation " << nth;
      if (was_to_come(nth)) break;
      ++missing;
    }
  }).join();
  EXPECT_GT(missing, 3);
  EXPECT_LT(missing, 99);
}

TEST(MemoryOfTheLastTrial, MakesRoomForTheRanksOfAGroup) {
  constexpr int kRanks = 2;
  const auto spec = [](int nth) {
    TrialSpec one =
        spec_of("{name: rigl, density: 0.2}", nth % 8 < 4 ? "epochs: 1, batch: 64, lr: 0.05, eval_batch: 64"
                                                          : "epochs: 1, batch: 32, lr: 0.05, eval_batch: 32");
    one.ranks = kRanks;
    return one;
  };
  machine_of(kRanks);
  int missing = 0;
  EXPECT_EQ(on_ranks(kRanks,
                     [&](ThreadRank& comm) {
                       GroupDevices devices;
                       RunTrialOptions options;
                       options.devices = &devices;
                       options.gpu = comm.rank();
                       run_trial(spec(4), comm, options);
                       for (int nth = 1; nth < 100; nth += 4) {
                         if (comm.rank() == 0) fail_allocation(nth);
                         std::uint64_t was[] = {0};
                         comm.all_reduce_max(was);
                         EXPECT_EQ(run_trial(spec(nth), comm, options).reason, "") << "allocation " << nth;
                         if (comm.rank() == 0) was[0] = was_to_come(nth) ? 1 : 0;
                         comm.all_reduce_max(was);
                         if (was[0] != 0) break;
                         if (comm.rank() == 0) ++missing;
                       }
                     }),
            no_errors(kRanks));
  EXPECT_GT(missing, 3);
}

}  // namespace
}  // namespace winnow::test
#endif
