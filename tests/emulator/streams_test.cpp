// Streams and events: laziness, order, and what a missing event does.
#include <memory>
#include <set>

#include "kernels/device.h"
#include "kernels/for_each.h"
#include "kernels/functors/elementwise.h"
#include "tests/emulator/device.h"

namespace winnow::emulator {

class Streams : public OnEmulator {
 protected:
  // A stream makes 2, another one doubles it; what comes out under a seed.
  float doubled(std::uint64_t seed, bool with_event) {
    reset();
    set_stream_seed(seed);
    const cudaStream_t first = new_stream(), second = new_stream();
    const cudaEvent_t made = new_event();
    float *x = on_device(std::vector<float>{1.0f}), *y = on_device<float>(1);
    for_each(exec_on(first), 1, Add<float>{x, x, x});
    EXPECT_EQ(cudaEventRecord(made, first), cudaSuccess);
    if (with_event) {
      EXPECT_EQ(cudaStreamWaitEvent(second, made), cudaSuccess);
    }
    for_each(exec_on(second), 1, Add<float>{x, x, y});
    EXPECT_EQ(cudaStreamSynchronize(second), cudaSuccess);
    return read(y, 1)[0];
  }
};

TEST_F(Streams, NothingRunsWhenItIsQueued) {
  const cudaStream_t stream = new_stream();
  float* x = on_device(std::vector<float>{1.0f});
  for_each(exec_on(stream), 1, Add<float>{x, x, x});
  EXPECT_EQ(pending(), 1u);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(pending(), 0u);
  EXPECT_EQ(read(x, 1)[0], 2.0f);
}

TEST_F(Streams, AMissingEventIsSeen) {
  std::set<float> with, without;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    with.insert(doubled(seed, true));
    without.insert(doubled(seed, false));
  }
  EXPECT_EQ(with, std::set<float>{4.0f});
  EXPECT_EQ(without, (std::set<float>{2.0f, 4.0f}));
}

TEST_F(Streams, AnEventWaitsForItsLastRecordOnly) {
  const cudaStream_t stream = new_stream(), other = new_stream();
  const cudaEvent_t event = new_event();
  EXPECT_EQ(cudaStreamWaitEvent(other, event), cudaSuccess) << "never recorded";
  EXPECT_EQ(pending(), 0u);
  float* x = on_device(std::vector<float>{1.0f});
  EXPECT_EQ(cudaEventRecord(event, stream), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(other, event), cudaSuccess);
  for_each(exec_on(stream), 1, Add<float>{x, x, x});
  EXPECT_EQ(cudaStreamSynchronize(other), cudaSuccess);
  EXPECT_LE(pending(), 1u) << "the kernel alone, which came after the record";
}

TEST_F(Streams, AQueryLetsTimeGoBy) {
  const cudaStream_t stream = new_stream();
  float* x = on_device(std::vector<float>{1.0f});
  for_each(exec_on(stream), 1, Add<float>{x, x, x});
  EXPECT_EQ(cudaStreamQuery(stream), cudaErrorNotReady);
  while (cudaStreamQuery(stream) == cudaErrorNotReady) {
  }
  EXPECT_EQ(pending(), 0u);
  EXPECT_EQ(cudaStreamQuery(stream), cudaSuccess);
}

TEST_F(Streams, AreNonBlockingAndEventsWithoutTimes) {
  cudaStream_t stream = nullptr;
  cudaEvent_t event = nullptr;
  EXPECT_EQ(cudaStreamCreateWithFlags(&stream, 0), cudaErrorNotSupported);
  EXPECT_EQ(cudaEventCreateWithFlags(&event, 0), cudaErrorNotSupported);
}

// They must not take each other's core (kernels/cuda/stream.cu).
TEST_F(Streams, SeveralOfAProcessSleepWhileTheHostWaitsForThem) {
  const std::shared_ptr<DeviceStream> one = cuda::open_stream(0);
  fail("cudaEventSynchronize", 1, cudaErrorUnknown);
  EXPECT_NO_THROW(one->wait());
  const std::shared_ptr<DeviceStream> two = cuda::open_stream(0);
  EXPECT_THROW(one->wait(), std::runtime_error);
  fail("cudaStreamSynchronize", 1, cudaErrorUnknown);
  std::byte* const memory = one->allocate(4);
  one->zero(memory, 4);
  EXPECT_NO_THROW(one->wait());
  EXPECT_EQ(pending(), 0u);
  one->release(memory);
}

TEST_F(Streams, WorkOfADestroyedStreamIsDone) {
  const cudaStream_t stream = new_stream();
  float* x = on_device(std::vector<float>{1.0f});
  for_each(exec_on(stream), 1, Add<float>{x, x, x});
  EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  EXPECT_EQ(read(x, 1)[0], 2.0f);
}

TEST_F(Streams, KernelsGoOnStreamsOfTheCurrentDevice) {
  set_device_count(2);
  float* x = on_device<float>(1);
  const cudaStream_t stream = new_stream();
  EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
  EXPECT_THROW(for_each(exec_on(stream), 1, Add<float>{x, x, x}), std::runtime_error);
  EXPECT_EQ(enqueue("library", stream, {.name = "library", .run = [] {}}), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaMemsetAsync(x, 0, sizeof(float), stream), cudaSuccess) << "copies and fills need not";
  EXPECT_EQ(pending(), 1u);
}

TEST_F(Streams, WorkMustNotCallTheRuntime) {
  cudaError_t inside = cudaSuccess;
  EXPECT_EQ(enqueue("library", nullptr, {.name = "library", .run = [&] { inside = cudaDeviceSynchronize(); }}),
            cudaSuccess);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  EXPECT_EQ(inside, cudaErrorNotPermitted);
}

// As a library of collectives queues it: each rank's part can run once the other's has come.
TEST_F(Streams, WorkThatWaitsForAnotherRank) {
  set_device_count(2);
  int here = 0, sum = 0;
  std::vector<cudaError_t> ended(2, cudaErrorUnknown);
  const auto rank = [&](int device) {
    cudaSetDevice(device);
    const cudaStream_t stream = new_stream();
    bool counted = false;
    enqueue("reduce", stream,
            {.name = "reduce",
             .run = [&] { ++sum; },
             .ready =
                 [&here, &counted] {
                   here += counted ? 0 : 1;
                   counted = true;
                   return here == 2;
                 }});
    ended[static_cast<std::size_t>(device)] = cudaStreamSynchronize(stream);
  };
  std::thread other(rank, 1);
  rank(0);
  other.join();
  EXPECT_EQ(sum, 2);
  EXPECT_EQ(ended, std::vector<cudaError_t>(2, cudaSuccess));
}

}  // namespace winnow::emulator
