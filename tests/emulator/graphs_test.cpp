// Captures and graphs: what is recorded, replayed and refused.
#include <thread>

#include "kernels/for_each.h"
#include "kernels/functors/elementwise.h"
#include "tests/emulator/device.h"

namespace winnow::emulator {

class Graphs : public OnEmulator {
 protected:
  static cudaStream_t capturing() {
    const cudaStream_t stream = new_stream();
    EXPECT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    return stream;
  }
  static cudaError_t end(cudaStream_t stream) {
    cudaGraph_t graph = nullptr;
    return cudaStreamEndCapture(stream, &graph);
  }
  static cudaGraphExec_t instance(cudaStream_t stream) {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    EXPECT_EQ(cudaGraphInstantiate(&exec, graph), cudaSuccess);
    EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
    return exec;
  }
};

TEST_F(Graphs, RecordsAndReplaysWithFrozenArguments) {
  float *x = on_device(std::vector<float>{1.0f}), *other = on_device(std::vector<float>{1.0f});
  const cudaStream_t stream = capturing();
  Add<float> twice{x, x, x};
  for_each(exec_on(stream), 1, twice);
  twice = {other, other, other};
  EXPECT_EQ(cudaMemsetAsync(other, 0, sizeof(float), stream), cudaSuccess);
  EXPECT_EQ(pending(), 0u);
  const cudaGraphExec_t exec = instance(stream);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  EXPECT_EQ(read(x, 1)[0], 1.0f) << "captured work does not run";
  reset_counts();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
  EXPECT_EQ(cudaGraphExecDestroy(exec), cudaSuccess) << "what is launched still runs";
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(counts(Within::Direct).graph_launches, 3u);
  EXPECT_EQ(counts(Within::Direct).synchronisations, 1u);
  EXPECT_EQ(counts(Within::Direct).kernels, 0u);
  EXPECT_EQ(counts(Within::Graphs).kernels, 3u);
  EXPECT_EQ(counts(Within::Graphs).memsets, 3u);
  EXPECT_EQ(read(x, 1)[0], 8.0f);
  EXPECT_EQ(counts(Within::Direct).bytes_to_host, sizeof(float));
  EXPECT_EQ(live().graphs + live().graph_execs, 0u);
}

TEST_F(Graphs, LaunchesAreAnnouncedUntilTheMachineIsReset) {
  int announced = 0;
  std::size_t queued = 0;
  before_launches([&] {
    ++announced;
    queued = pending();  // may ask the machine
  });
  float* x = on_device<float>(1);
  const cudaStream_t stream = capturing();
  for_each(exec_on(stream), 1, Add<float>{x, x, x});
  const cudaGraphExec_t exec = instance(stream);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
  EXPECT_EQ(announced, 3);
  EXPECT_EQ(queued, 1u) << "before the second launch of the graph";
  EXPECT_EQ(counts(Within::Direct).recordings, 1u);
  reset();
  x = on_device<float>(1);
  for_each(exec_on(new_stream()), 1, Add<float>{x, x, x});
  EXPECT_EQ(announced, 3);
}

TEST_F(Graphs, ForkAndJoin) {
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    reset();
    set_stream_seed(seed);
    float *x = on_device(std::vector<float>{1.0f}), *y = on_device<float>(1), *z = on_device<float>(1);
    const cudaStream_t stream = capturing(), side = new_stream();
    const cudaEvent_t fork = new_event(), join = new_event();
    for_each(exec_on(stream), 1, Add<float>{x, x, x});
    EXPECT_EQ(cudaEventRecord(fork, stream), cudaSuccess);
    EXPECT_EQ(cudaStreamWaitEvent(side, fork), cudaSuccess);
    for_each(exec_on(side), 1, Add<float>{x, x, y});
    for_each(exec_on(stream), 1, Add<float>{x, x, z});
    EXPECT_EQ(cudaEventRecord(join, side), cudaSuccess);
    EXPECT_EQ(cudaStreamWaitEvent(stream, join), cudaSuccess);
    for_each(exec_on(stream), 1, Add<float>{y, z, x});
    const cudaGraphExec_t exec = instance(stream);
    EXPECT_EQ(cudaGraphLaunch(exec, side), cudaSuccess);
    EXPECT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess) << "after the other launch, on any stream";
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    EXPECT_EQ(read(x, 1)[0], 64.0f);
  }
}

TEST_F(Graphs, IllegalCallsBreakTheCapture) {
  int host = 0;
  void* memory = on_device<int>(1);
  const cudaEvent_t outside = new_event();
  EXPECT_EQ(cudaEventRecord(outside), cudaSuccess);
  cudaStream_t stream = nullptr;
  void* more = nullptr;
  const std::function<cudaError_t()> unsupported[] = {
      [&] { return cudaStreamSynchronize(stream); },
      [&] { return cudaStreamQuery(stream); },
      [&] { return cudaDeviceSynchronize(); },
      [&] { return cudaMalloc(&more, 4); },
      [&] { return cudaFree(memory); },
      [&] { return cudaMemcpyAsync(memory, &host, 4, cudaMemcpyHostToDevice, stream); },
  };
  for (const auto& call : unsupported) {
    stream = capturing();
    EXPECT_EQ(call(), cudaErrorStreamCaptureUnsupported);
    EXPECT_EQ(cudaMemsetAsync(memory, 0, 4, stream), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(end(stream), cudaErrorStreamCaptureInvalidated);
  }
  stream = capturing();
  EXPECT_EQ(cudaStreamWaitEvent(stream, outside), cudaErrorStreamCaptureIsolation);
  EXPECT_EQ(end(stream), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(end(stream), cudaErrorIllegalState);
  EXPECT_EQ(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeThreadLocal), cudaErrorStreamCaptureUnsupported);
}

TEST_F(Graphs, ACaptureIsOfItsThreadAlone) {
  const cudaStream_t stream = capturing();
  std::thread([&] {
    on_device<int>(1);
    EXPECT_EQ(end(stream), cudaErrorStreamCaptureWrongThread);
  }).join();
  EXPECT_EQ(end(stream), cudaSuccess);
}

TEST_F(Graphs, UnjoinedAndMixedCaptures) {
  int* x = on_device<int>(1);
  const cudaStream_t stream = capturing(), side = new_stream();
  const cudaEvent_t event = new_event();
  EXPECT_EQ(cudaEventRecord(event, stream), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(side, event), cudaSuccess);
  EXPECT_EQ(cudaMemsetAsync(x, 0, 4, side), cudaSuccess);
  EXPECT_EQ(end(stream), cudaErrorStreamCaptureUnjoined);

  const cudaStream_t first = capturing(), second = capturing();
  EXPECT_EQ(cudaEventRecord(event, first), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(second, event), cudaErrorStreamCaptureMerge);
  EXPECT_EQ(end(first), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(end(second), cudaErrorStreamCaptureInvalidated);
}

}  // namespace winnow::emulator
