// The stand-in of NCCL: results, the states of a communicator, what waits for ever and what is refused.
#include <nccl.h>

#include <thread>

#include "tests/emulator/device.h"

namespace winnow::emulator {
namespace {

constexpr ncclConfig_t kNotBlocking = {sizeof(ncclConfig_t), 0xcafebeef, NCCL_VERSION_CODE, 0};

// Ranks of one communicator, rank r on device r. Nothing here blocks, so one thread may be all of them.
class Nccl : public OnEmulator {
 protected:
  void SetUp() override {
    OnEmulator::SetUp();
    set_device_count(3);
  }
  static ncclUniqueId new_id() {
    ncclUniqueId id;
    EXPECT_EQ(ncclGetUniqueId(&id), ncclSuccess);
    return id;
  }
  static ncclComm_t start(const ncclUniqueId& id, int ranks, int rank) {
    ncclConfig_t config = kNotBlocking;
    ncclComm_t comm = nullptr;
    EXPECT_EQ(ncclCommInitRankConfig(&comm, ranks, id, rank, &config), ncclInProgress) << ncclGetLastError(nullptr);
    return comm;
  }
  static ncclResult_t poll(ncclComm_t comm) {
    ncclResult_t state = ncclInternalError;
    EXPECT_EQ(ncclCommGetAsyncError(comm, &state), ncclSuccess);
    return state;
  }
  static ncclResult_t settled(ncclComm_t comm) {
    for (int i = 0; i < 100; ++i) {
      if (const ncclResult_t state = poll(comm); state != ncclInProgress) return state;
    }
    return ncclInProgress;
  }
  void make(int ranks) {
    const ncclUniqueId id = new_id();
    for (int rank = 0; rank < ranks; ++rank) {
      cudaSetDevice(rank);
      comms.push_back(start(id, ranks, rank));
      streams.push_back(new_stream());
    }
    for (const ncclComm_t comm : comms) EXPECT_EQ(settled(comm), ncclSuccess);
  }
  template <class T>
  T* on(int device, const std::vector<T>& values) {
    cudaSetDevice(device);
    return on_device(values);
  }
  // Queued for sure: the first of a communicator only goes once it was polled.
  void sum(std::size_t rank, float* at, std::size_t count) {
    const ncclResult_t result = ncclAllReduce(at, at, count, ncclFloat, ncclSum, comms[rank], streams[rank]);
    EXPECT_TRUE(result == ncclSuccess || result == ncclInProgress) << ncclGetLastError(nullptr);
    EXPECT_EQ(settled(comms[rank]), ncclSuccess);
  }
  cudaError_t wait(std::size_t rank) {
    cudaSetDevice(static_cast<int>(rank));
    return cudaStreamSynchronize(streams[rank]);
  }
  std::vector<ncclComm_t> comms;
  std::vector<cudaStream_t> streams;
};

TEST_F(Nccl, SumsInTheOrderOfRanks) {
  make(3);
  std::vector<float*> at;
  for (int rank = 0; rank < 3; ++rank)
    at.push_back(on(rank, std::vector<float>{rank == 0 ? 1e8f : rank == 1 ? -1e8f : 1, 2}));
  for (std::size_t rank = 3; rank-- > 0;) sum(rank, at[rank], 2);
  for (std::size_t rank = 0; rank < 3; ++rank) {
    EXPECT_EQ(wait(rank), cudaSuccess) << first_report();
    EXPECT_EQ(read(at[rank], 2), (std::vector<float>{1, 6}));
  }
}

TEST_F(Nccl, LargestOfIntegersAndBroadcastsOutOfPlace) {
  make(2);
  using Numbers = std::vector<std::uint64_t>;
  std::uint64_t *from[2] = {on(0, Numbers{1, ~0ull}), on(1, Numbers{5, 2})},
                *to[2] = {on(0, Numbers{0, 0}), on(1, Numbers{0, 0})};
  for (std::size_t rank = 0; rank < 2; ++rank) {
    ncclAllReduce(from[rank], to[rank], 2, ncclUint64, ncclMax, comms[rank], streams[rank]);
    EXPECT_EQ(settled(comms[rank]), ncclSuccess);
  }
  for (std::size_t rank = 0; rank < 2; ++rank) {
    EXPECT_EQ(wait(rank), cudaSuccess) << first_report();
    EXPECT_EQ(read(to[rank], 2), (Numbers{5, ~0ull}));
    EXPECT_EQ(ncclBroadcast(from[rank], to[rank], 2, ncclUint64, 1, comms[rank], streams[rank]), ncclSuccess);
  }
  for (std::size_t rank = 0; rank < 2; ++rank) {
    EXPECT_EQ(wait(rank), cudaSuccess) << first_report();
    EXPECT_EQ(read(to[rank], 2), (Numbers{5, 2}));
  }
}

TEST_F(Nccl, ARankThatIsDoneMayFreeItsBuffer) {
  make(3);
  std::vector<float*> at;
  for (int rank = 0; rank < 3; ++rank) at.push_back(on(rank, std::vector<float>{1}));
  for (std::size_t rank = 0; rank < 3; ++rank) sum(rank, at[rank], 1);
  EXPECT_EQ(wait(0), cudaSuccess);
  EXPECT_EQ(pending(), 1u) << "a rank that has not run yet";
  EXPECT_EQ(cudaFree(at[0]), cudaSuccess);
  for (std::size_t rank = 1; rank < 3; ++rank) {
    EXPECT_EQ(wait(rank), cudaSuccess) << first_report();
    EXPECT_EQ(read(at[rank], 1)[0], 3.0f);
  }
}

TEST_F(Nccl, RanksAreThreads) {
  const ncclUniqueId id = new_id();
  std::vector<std::thread> threads;
  std::vector<std::vector<float>> found(3);
  for (int rank = 0; rank < 3; ++rank) {
    threads.emplace_back([&, rank] {
      cudaSetDevice(rank);
      const ncclComm_t comm = start(id, 3, rank);
      while (poll(comm) == ncclInProgress) std::this_thread::yield();
      const cudaStream_t stream = new_stream();
      float* at = on_device(std::vector<float>(10, static_cast<float>(rank + 1)));
      for (int i = 0; i < 5; ++i) {
        ncclAllReduce(at, at, 10, ncclFloat, ncclSum, comm, stream);
        while (poll(comm) == ncclInProgress) std::this_thread::yield();
      }
      EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
      found[static_cast<std::size_t>(rank)] = read(at, 10);
      EXPECT_EQ(ncclCommFinalize(comm), ncclInProgress);
      while (poll(comm) == ncclInProgress) std::this_thread::yield();
      EXPECT_EQ(ncclCommDestroy(comm), ncclSuccess);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& values : found) EXPECT_EQ(values, std::vector<float>(10, 6 * 81)) << first_report();
  EXPECT_EQ(live().communicators, 0u);
}

TEST_F(Nccl, StartsOnceAllRanksAreThere) {
  const ncclUniqueId id = new_id();
  int number = -1;
  cudaSetDevice(2);
  const ncclComm_t first = start(id, 2, 1);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(poll(first), ncclInProgress);
  EXPECT_EQ(ncclCommCount(first, &number), ncclInvalidArgument) << "not before it is ready";
  EXPECT_EQ(ncclAllReduce(nullptr, nullptr, 0, ncclFloat, ncclSum, first, nullptr), ncclInvalidArgument);
  EXPECT_EQ(ncclCommFinalize(first), ncclInvalidArgument);
  EXPECT_EQ(ncclCommDestroy(first), ncclInvalidArgument);
  cudaSetDevice(0);
  const ncclComm_t second = start(id, 2, 0);
  EXPECT_EQ(ncclCommCount(second, &number), ncclInvalidArgument) << "it has to be polled";
  EXPECT_EQ(settled(first), ncclSuccess);
  EXPECT_EQ(ncclCommCount(first, &number), ncclSuccess);
  EXPECT_EQ(number, 2);
  EXPECT_EQ(ncclCommUserRank(first, &number), ncclSuccess);
  EXPECT_EQ(number, 1);
  EXPECT_EQ(ncclCommCuDevice(first, &number), ncclSuccess);
  EXPECT_EQ(number, 2);
}

TEST_F(Nccl, RefusesTwoRanksOnOneDevice) {
  const ncclUniqueId id = new_id();
  const ncclComm_t first = start(id, 2, 0), second = start(id, 2, 1);
  EXPECT_EQ(settled(first), ncclInvalidUsage);
  EXPECT_EQ(settled(second), ncclInvalidUsage);
  EXPECT_NE(std::string(ncclGetLastError(first)).find("Duplicate GPU detected"), std::string::npos);
  EXPECT_EQ(ncclAllReduce(nullptr, nullptr, 0, ncclFloat, ncclSum, first, nullptr), ncclInvalidUsage);
  EXPECT_EQ(ncclCommAbort(first), ncclSuccess);
  EXPECT_EQ(ncclCommAbort(second), ncclSuccess);
}

TEST_F(Nccl, RefusesStarts) {
  const ncclUniqueId id = new_id();
  const auto refused = [&](ncclResult_t code, const ncclUniqueId& of, int ranks, int rank, ncclConfig_t config) {
    ncclComm_t comm = nullptr;
    EXPECT_EQ(ncclCommInitRankConfig(&comm, ranks, of, rank, &config), code);
    EXPECT_EQ(comm, nullptr);
    return std::string(ncclGetLastError(nullptr));
  };
  EXPECT_NE(refused(ncclInvalidArgument, id, 2, 2, kNotBlocking).find("Invalid rank"), std::string::npos);
  refused(ncclInvalidArgument, id, 2, -1, kNotBlocking);
  refused(ncclInvalidArgument, id, 2, 0, {});
  refused(ncclInvalidArgument, id, 2, 0, NCCL_CONFIG_INITIALIZER);
  refused(ncclInvalidArgument, ncclUniqueId{}, 2, 0, kNotBlocking);
  fail("ncclCommInitRankConfig", 1, cudaErrorMemoryAllocation);
  refused(ncclUnhandledCudaError, id, 2, 0, kNotBlocking);
  start(id, 2, 0);
  refused(ncclInvalidUsage, id, 2, 0, kNotBlocking);
  refused(ncclInternalError, id, 3, 1, kNotBlocking);
  int version = 0;
  EXPECT_EQ(ncclGetVersion(&version), ncclSuccess);
  EXPECT_EQ(version, NCCL_VERSION_CODE);
  EXPECT_STREQ(ncclGetErrorString(ncclInProgress), "NCCL operation in progress");
}

TEST_F(Nccl, RefusesCalls) {
  make(2);
  float* at = on(0, std::vector<float>(4));
  const auto reduce = [&](void* buffer, ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream) {
    return ncclAllReduce(buffer, buffer, 4, type, op, comm, stream);
  };
  EXPECT_EQ(reduce(nullptr, ncclFloat, ncclSum, comms[0], streams[0]), ncclInvalidArgument);
  EXPECT_EQ(reduce(at, ncclFloat, ncclMax, comms[0], streams[0]), ncclInvalidArgument);
  EXPECT_EQ(reduce(at, ncclFloat, ncclSum, nullptr, streams[0]), ncclInvalidArgument);
  EXPECT_EQ(reduce(at, ncclFloat, ncclSum, comms[0], streams[1]), ncclUnhandledCudaError) << "a stream of device 1";
  EXPECT_EQ(ncclBroadcast(at, at, 4, ncclFloat, 2, comms[0], streams[0]), ncclInvalidArgument);
  EXPECT_EQ(ncclBroadcast(at, at, 4, ncclFloat, -1, comms[0], streams[0]), ncclInvalidArgument);
  EXPECT_EQ(ncclGroupEnd(), ncclInvalidUsage);
  EXPECT_EQ(ncclCommGetAsyncError(comms[0], nullptr), ncclInvalidArgument);
  EXPECT_EQ(ncclCommCount(comms[0], nullptr), ncclInvalidArgument);
  fail("ncclAllReduce", 1, cudaErrorLaunchFailure);
  EXPECT_EQ(reduce(at, ncclFloat, ncclSum, comms[0], streams[0]), ncclUnhandledCudaError);
  EXPECT_EQ(ncclAllReduce(at, at, 0, ncclFloat, ncclSum, comms[0], streams[0]), ncclSuccess) << "nothing to do";
  EXPECT_EQ(pending(), 0u);
}

TEST_F(Nccl, MayBeInProgressAfterACollective) {
  make(2);
  float* at = on(0, std::vector<float>(4));
  EXPECT_EQ(ncclAllReduce(at, at, 4, ncclFloat, ncclSum, comms[0], streams[0]), ncclInProgress);
  EXPECT_EQ(pending(), 0u) << "not queued yet";
  EXPECT_EQ(ncclAllReduce(at, at, 4, ncclFloat, ncclSum, comms[0], streams[0]), ncclInvalidArgument);
  EXPECT_EQ(settled(comms[0]), ncclSuccess);
  EXPECT_EQ(pending(), 1u);
  EXPECT_EQ(ncclAllReduce(at, at, 4, ncclFloat, ncclSum, comms[0], streams[0]), ncclSuccess);
  EXPECT_EQ(pending(), 2u);
}

TEST_F(Nccl, ARankThatNeverComesIsWaitedForUntilAnAbort) {
  make(2);
  float *mine = on(0, std::vector<float>{1}), *other = on(1, std::vector<float>{2});
  sum(0, mine, 1);
  cudaSetDevice(0);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(cudaStreamQuery(streams[0]), cudaErrorNotReady);
  EXPECT_EQ(ncclCommDestroy(comms[0]), ncclInvalidUsage) << "it would wait";
  EXPECT_EQ(ncclCommAbort(comms[0]), ncclSuccess);
  EXPECT_EQ(wait(0), cudaSuccess);
  EXPECT_EQ(read(mine, 1)[0], 1.0f);
  EXPECT_EQ(ncclCommAbort(comms[0]), ncclInvalidArgument) << "it is gone";
  EXPECT_EQ(ncclAllReduce(mine, mine, 1, ncclFloat, ncclSum, comms[0], streams[0]), ncclInvalidArgument);
  sum(1, other, 1);
  cudaSetDevice(1);
  for (int i = 0; i < 100; ++i)
    ASSERT_EQ(cudaStreamQuery(streams[1]), cudaErrorNotReady) << "an abort is not for others";
  EXPECT_EQ(ncclCommAbort(comms[1]), ncclSuccess);
  EXPECT_EQ(wait(1), cudaSuccess);
  EXPECT_EQ(live().communicators, 0u);
  EXPECT_TRUE(reports().empty());
}

TEST_F(Nccl, ReportsRanksThatDisagree) {
  const auto reported = [&](const std::function<void(std::size_t rank, void* at)>& call, const std::string& what) {
    reset();
    set_device_count(2);
    comms.clear(), streams.clear();
    make(2);
    for (std::size_t rank = 0; rank < 2; ++rank) {
      call(rank, on(static_cast<int>(rank), std::vector<float>(8)));
      EXPECT_EQ(settled(comms[rank]), ncclSuccess);
    }
    EXPECT_NE(wait(0), cudaSuccess) << what;
    EXPECT_NE(wait(1), cudaSuccess) << what;
    ASSERT_FALSE(reports().empty()) << what;
    EXPECT_NE(first_report().find(what), std::string::npos) << first_report();
  };
  const auto reduce = [&](std::size_t rank, void* at, std::size_t count, ncclDataType_t type) {
    ncclAllReduce(at, at, count, type, type == ncclFloat ? ncclSum : ncclMax, comms[rank], streams[rank]);
  };
  reported([&](std::size_t rank, void* at) { reduce(rank, at, 3 + rank, ncclFloat); }, "of 3, type 7");
  reported([&](std::size_t rank, void* at) { reduce(rank, at, 2, rank == 0 ? ncclFloat : ncclUint64); }, "type 5");
  reported([&](std::size_t rank,
               void* at) { ncclBroadcast(at, at, 2, ncclFloat, static_cast<int>(rank), comms[rank], streams[rank]); },
           "root 1");
  reported(
      [&](std::size_t rank, void* at) {
        if (rank == 0) reduce(rank, at, 2, ncclFloat);
        if (rank == 1) ncclBroadcast(at, at, 2, ncclFloat, 0, comms[rank], streams[rank]);
      },
      "ncclBroadcast of 2");
  reported([&](std::size_t rank, void* at) { reduce(rank, at, 5, ncclUint64); }, "recvbuff: not 40");
  static float host[8];
  reported([&](std::size_t rank, void* at) { reduce(rank, rank == 0 ? at : host, 8, ncclFloat); }, "recvbuff: not");
  float* foreign = nullptr;
  reported(
      [&](std::size_t rank, void* at) {
        if (rank == 0) foreign = static_cast<float*>(at);
        reduce(rank, foreign, 8, ncclFloat);
      },
      "recvbuff: not");
  reported(
      [&](std::size_t rank, void* at) {
        ncclAllReduce(at, static_cast<float*>(at) + 1, 4, ncclFloat, ncclSum, comms[rank], streams[rank]);
      },
      "overlaps");
}

TEST_F(Nccl, RunsInGraphs) {
  make(2);
  float* at[2] = {on(0, std::vector<float>{1}), on(1, std::vector<float>{2})};
  cudaGraphExec_t execs[2];
  for (std::size_t rank = 0; rank < 2; ++rank) {
    cudaSetDevice(static_cast<int>(rank));
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamBeginCapture(streams[rank], cudaStreamCaptureModeThreadLocal), cudaSuccess);
    sum(rank, at[rank], 1);
    sum(rank, at[rank], 1);
    EXPECT_EQ(cudaStreamEndCapture(streams[rank], &graph), cudaSuccess);
    EXPECT_EQ(cudaGraphInstantiate(&execs[rank], graph), cudaSuccess);
  }
  for (int i = 0; i < 3; ++i) {
    for (std::size_t rank = 0; rank < 2; ++rank) {
      EXPECT_EQ(cudaGraphLaunch(execs[rank], streams[rank]), cudaSuccess);
      if (i == 1) sum(rank, at[rank], 1);
    }
  }
  for (std::size_t rank = 0; rank < 2; ++rank) {
    EXPECT_EQ(wait(rank), cudaSuccess) << first_report();
    EXPECT_EQ(read(at[rank], 1)[0], 3 * 64.0f);
    EXPECT_EQ(ncclCommDestroy(comms[rank]), ncclSuccess);
  }
  EXPECT_EQ(cudaGraphLaunch(execs[0], streams[0]), cudaSuccess);
  EXPECT_NE(wait(0), cudaSuccess) << "a communicator that was destroyed";
}

TEST_F(Nccl, Groups) {
  make(2);
  float* at[2] = {on(0, std::vector<float>{1, 10}), on(1, std::vector<float>{2, 20})};
  EXPECT_EQ(ncclGroupStart(), ncclSuccess);
  for (std::size_t rank = 0; rank < 2; ++rank) {
    EXPECT_EQ(ncclAllReduce(at[rank], at[rank], 1, ncclFloat, ncclSum, comms[rank], streams[rank]), ncclSuccess);
    EXPECT_EQ(ncclBroadcast(at[rank] + 1, at[rank] + 1, 1, ncclFloat, 1, comms[rank], streams[rank]), ncclSuccess);
  }
  EXPECT_EQ(ncclGroupEnd(), ncclInProgress);
  EXPECT_EQ(pending(), 0u);
  for (std::size_t rank = 0; rank < 2; ++rank) EXPECT_EQ(settled(comms[rank]), ncclSuccess);
  for (std::size_t rank = 0; rank < 2; ++rank) {
    EXPECT_EQ(wait(rank), cudaSuccess) << first_report();
    EXPECT_EQ(read(at[rank], 2), (std::vector<float>{3, 20}));
  }
  EXPECT_EQ(ncclGroupStart(), ncclSuccess);
  EXPECT_EQ(ncclAllReduce(nullptr, at[0], 1, ncclFloat, ncclSum, comms[0], streams[0]), ncclInvalidArgument);
  EXPECT_EQ(ncclAllReduce(at[1], at[1], 1, ncclFloat, ncclSum, comms[1], streams[1]), ncclSuccess);
  EXPECT_EQ(ncclGroupEnd(), ncclInvalidArgument) << "and nothing of the group is done";
  EXPECT_EQ(pending(), 0u);
}

TEST_F(Nccl, FinalizeWaitsForWorkAndForAll) {
  make(2);
  float* at[2] = {on(0, std::vector<float>{1}), on(1, std::vector<float>{2})};
  for (std::size_t rank = 0; rank < 2; ++rank) sum(rank, at[rank], 1);
  EXPECT_EQ(ncclCommFinalize(comms[0]), ncclInProgress);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(poll(comms[0]), ncclInProgress) << "rank 1 has not";
  EXPECT_EQ(pending(), 0u);
  EXPECT_EQ(ncclCommFinalize(comms[1]), ncclInProgress);
  for (const ncclComm_t comm : comms) EXPECT_EQ(settled(comm), ncclSuccess);
  EXPECT_EQ(ncclCommFinalize(comms[0]), ncclInvalidArgument) << "twice";
  EXPECT_EQ(ncclAllReduce(at[0], at[0], 1, ncclFloat, ncclSum, comms[0], streams[0]), ncclInvalidUsage);
  for (const ncclComm_t comm : comms) EXPECT_EQ(ncclCommDestroy(comm), ncclSuccess);
  EXPECT_EQ(ncclCommDestroy(comms[0]), ncclInvalidArgument);
  EXPECT_EQ(ncclCommDestroy(nullptr), ncclSuccess);
  EXPECT_EQ(live().communicators, 0u);
}

TEST_F(Nccl, SaysWhatFailedElsewhere) {
  make(2);
  fail("ncclRemoteError", 1, cudaErrorUnknown);
  EXPECT_EQ(poll(comms[0]), ncclRemoteError);
  EXPECT_EQ(poll(comms[0]), ncclRemoteError);
  EXPECT_EQ(ncclAllReduce(nullptr, nullptr, 0, ncclFloat, ncclSum, comms[0], streams[0]), ncclRemoteError);
  EXPECT_EQ(ncclCommDestroy(comms[0]), ncclRemoteError);
  EXPECT_EQ(ncclCommAbort(comms[0]), ncclSuccess);
  fail_device(1, cudaErrorIllegalAddress);
  EXPECT_EQ(wait(1), cudaErrorIllegalAddress);
  EXPECT_EQ(poll(comms[1]), ncclUnhandledCudaError);
}

}  // namespace
}  // namespace winnow::emulator
