// Streams and events: laziness, order, and what a missing event does.
#include <set>

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
  const cudaStream_t stream = new_stream();
  const cudaEvent_t event = new_event();
  EXPECT_EQ(cudaEventQuery(event), cudaSuccess) << "never recorded";
  float* x = on_device(std::vector<float>{1.0f});
  EXPECT_EQ(cudaEventRecord(event, stream), cudaSuccess);
  for_each(exec_on(stream), 1, Add<float>{x, x, x});
  EXPECT_EQ(cudaEventSynchronize(event), cudaSuccess);
  EXPECT_EQ(pending(), 1u);
  EXPECT_EQ(cudaEventRecord(event, stream), cudaSuccess);
  EXPECT_EQ(cudaEventQuery(event), cudaErrorNotReady);
  while (cudaEventQuery(event) == cudaErrorNotReady) {
  }
  EXPECT_EQ(pending(), 0u);
  EXPECT_EQ(cudaStreamQuery(stream), cudaSuccess);
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

TEST_F(Streams, HostFunctions) {
  const cudaStream_t stream = new_stream();
  cudaError_t inside = cudaSuccess;
  const auto function = [](void* data) { *static_cast<cudaError_t*>(data) = cudaDeviceSynchronize(); };
  EXPECT_EQ(cudaLaunchHostFunc(stream, function, &inside), cudaSuccess);
  EXPECT_EQ(inside, cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(inside, cudaErrorNotPermitted);
}

TEST_F(Streams, TimedEvents) {
  cudaEvent_t start = nullptr, end = nullptr;
  EXPECT_EQ(cudaEventCreateWithFlags(&start, cudaEventDefault), cudaSuccess);
  EXPECT_EQ(cudaEventCreateWithFlags(&end, cudaEventDefault), cudaSuccess);
  float milliseconds = -1.0f;
  EXPECT_EQ(cudaEventRecord(start), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(end), cudaSuccess);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, end), cudaErrorNotReady);
  EXPECT_EQ(cudaEventSynchronize(end), cudaSuccess);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, end), cudaSuccess);
  EXPECT_GE(milliseconds, 0.0f);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, new_event(), end), cudaErrorInvalidResourceHandle);
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
