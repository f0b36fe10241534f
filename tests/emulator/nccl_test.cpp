// The stand-in of NCCL: results, the states of a communicator, what waits for ever and what is refused.
#include <nccl.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "kernels/device_group.h"
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

TEST_F(Nccl, SumsOutOfPlace) {
  make(2);
  const float* from[2] = {on(0, std::vector<float>{1, 2}), on(1, std::vector<float>{3, 4})};
  float* to[2] = {on(0, std::vector<float>(2)), on(1, std::vector<float>(2))};
  for (std::size_t rank = 0; rank < 2; ++rank) {
    ncclAllReduce(from[rank], to[rank], 2, ncclFloat, ncclSum, comms[rank], streams[rank]);
    EXPECT_EQ(settled(comms[rank]), ncclSuccess);
  }
  for (std::size_t rank = 0; rank < 2; ++rank) {
    EXPECT_EQ(wait(rank), cudaSuccess) << first_report();
    EXPECT_EQ(read(to[rank], 2), (std::vector<float>{4, 6}));
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
      EXPECT_EQ(ncclCommAbort(comm), ncclSuccess);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& values : found) EXPECT_EQ(values, std::vector<float>(10, 6 * 81)) << first_report();
  EXPECT_EQ(live().communicators, 0u);
}

TEST_F(Nccl, StartsOnceAllRanksAreThere) {
  const ncclUniqueId id = new_id();
  cudaSetDevice(2);
  const ncclComm_t first = start(id, 2, 1);
  const auto sum_of_nothing = [&](ncclComm_t comm) {
    return ncclAllReduce(nullptr, nullptr, 0, ncclFloat, ncclSum, comm, nullptr);
  };
  for (int i = 0; i < 10; ++i) EXPECT_EQ(poll(first), ncclInProgress);
  EXPECT_EQ(sum_of_nothing(first), ncclInvalidArgument) << "not before it is ready";
  cudaSetDevice(0);
  const ncclComm_t second = start(id, 2, 0);
  EXPECT_EQ(sum_of_nothing(second), ncclInvalidArgument) << "it has to be polled";
  EXPECT_EQ(settled(first), ncclSuccess);
  EXPECT_EQ(sum_of_nothing(first), ncclSuccess);
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
  const auto reduce = [&](void* buffer, int type, int op, ncclComm_t comm, cudaStream_t stream) {
    return ncclAllReduce(buffer, buffer, 4, static_cast<ncclDataType_t>(type), static_cast<ncclRedOp_t>(op), comm,
                         stream);
  };
  EXPECT_EQ(reduce(nullptr, ncclFloat, ncclSum, comms[0], streams[0]), ncclInvalidArgument);
  EXPECT_EQ(reduce(at, ncclFloat, 2, comms[0], streams[0]), ncclInvalidArgument);
  EXPECT_EQ(reduce(at, 5, ncclSum, comms[0], streams[0]), ncclInvalidArgument);
  EXPECT_EQ(reduce(at, ncclFloat, ncclSum, nullptr, streams[0]), ncclInvalidArgument);
  EXPECT_EQ(reduce(at, ncclFloat, ncclSum, comms[0], streams[1]), ncclUnhandledCudaError) << "a stream of device 1";
  EXPECT_EQ(ncclCommGetAsyncError(comms[0], nullptr), ncclInvalidArgument);
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
  const auto reduce = [&](std::size_t rank, void* at, std::size_t count) {
    ncclAllReduce(at, at, count, ncclFloat, ncclSum, comms[rank], streams[rank]);
  };
  reported([&](std::size_t rank, void* at) { reduce(rank, at, 3 + rank); }, "rank 0 sums 3 numbers, rank 1 4");
  reported([&](std::size_t rank, void* at) { reduce(rank, at, 10); }, "recvbuff: not 40");
  static float host[8];
  reported([&](std::size_t rank, void* at) { reduce(rank, rank == 0 ? at : host, 8); }, "recvbuff: not");
  float* foreign = nullptr;
  reported(
      [&](std::size_t rank, void* at) {
        if (rank == 0) foreign = static_cast<float*>(at);
        reduce(rank, foreign, 8);
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
    EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
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
    EXPECT_EQ(cudaGraphLaunch(execs[rank], streams[rank]), cudaSuccess) << "which waits for the other rank";
    EXPECT_EQ(cudaGraphExecDestroy(execs[rank]), cudaSuccess);
    EXPECT_EQ(ncclCommAbort(comms[rank]), ncclSuccess) << "a launch that is queued ends by it";
  }
  EXPECT_TRUE(reports().empty());
}

// As NCCL does it, which counts the graphs that hold its collectives and waits until there is none.
TEST_F(Nccl, AnAbortWaitsForEverForGraphsThatHoldCollectives) {
  make(2);
  float* at = on(0, std::vector<float>{1});
  const auto refused = [&] {
    EXPECT_EQ(ncclCommAbort(comms[0]), ncclInternalError);
    EXPECT_NE(first_report().find("a graph that is not destroyed"), std::string::npos);
    clear_error(0);
    clear_reports();
  };
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  EXPECT_EQ(cudaStreamBeginCapture(streams[0], cudaStreamCaptureModeThreadLocal), cudaSuccess);
  sum(0, at, 1);
  refused();
  EXPECT_EQ(cudaStreamEndCapture(streams[0], &graph), cudaSuccess);
  refused();
  EXPECT_EQ(cudaGraphInstantiate(&exec, graph), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  refused();
  EXPECT_EQ(live().communicators, 2u);
  EXPECT_EQ(ncclCommAbort(comms[1]), ncclSuccess) << "the graph is not this rank's";
  EXPECT_EQ(cudaGraphExecDestroy(exec), cudaSuccess);
  EXPECT_EQ(ncclCommAbort(comms[0]), ncclSuccess);
  EXPECT_EQ(live().communicators, 0u);
}

TEST_F(Nccl, SaysWhatFailedElsewhere) {
  make(2);
  fail("ncclRemoteError", 1, cudaErrorUnknown);
  EXPECT_EQ(poll(comms[0]), ncclRemoteError);
  EXPECT_EQ(poll(comms[0]), ncclRemoteError);
  EXPECT_EQ(ncclAllReduce(nullptr, nullptr, 0, ncclFloat, ncclSum, comms[0], streams[0]), ncclRemoteError);
  EXPECT_EQ(poll(comms[1]), ncclRemoteError) << "every rank hears of it";
  for (const ncclComm_t comm : comms) EXPECT_EQ(ncclCommAbort(comm), ncclSuccess);
  comms.clear(), streams.clear();
  make(2);
  fail_device(1, cudaErrorIllegalAddress);
  EXPECT_EQ(wait(1), cudaErrorIllegalAddress);
  EXPECT_EQ(poll(comms[1]), ncclUnhandledCudaError);
}

}  // namespace
}  // namespace winnow::emulator
