// DeviceStream (kernels/device.h) on the CUDA runtime: one non-blocking stream of one GPU, its memory and its graphs.
#include <cuda_runtime.h>

#include <string>

#include "kernels/cuda/launch.cuh"
#include "kernels/device.h"

namespace winnow::cuda {
namespace {

class GraphRecording final : public Recording {
 public:
  GraphRecording(cudaGraphExec_t graph, cudaStream_t stream) : graph_(graph), stream_(stream) {}
  ~GraphRecording() override { cudaGraphExecDestroy(graph_); }
  void replay() override { check(cudaGraphLaunch(graph_, stream_), "cudaGraphLaunch"); }

 private:
  cudaGraphExec_t graph_;
  cudaStream_t stream_;
};

class CudaStream final : public DeviceStream {
 public:
  explicit CudaStream(int ordinal) : ordinal_(ordinal) {
    check(cudaSetDevice(ordinal), "cudaSetDevice");
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
  }
  ~CudaStream() override { cudaStreamDestroy(stream_); }

  Device device() const override { return Device::Cuda; }
  void* queue() const override { return stream_; }

  std::byte* allocate(std::size_t bytes) override {
    void* memory = nullptr;
    const std::size_t wanted = bytes > 0 ? bytes : 1;
    const cudaError_t status = cudaMalloc(&memory, wanted);
    if (status == cudaErrorMemoryAllocation) {
      static_cast<void>(cudaGetLastError());  // no fault of the device: other trials go on
      std::size_t free_bytes = 0, all = 0;
      check(cudaMemGetInfo(&free_bytes, &all), "cudaMemGetInfo");
      throw DeviceMemoryError("GPU " + std::to_string(ordinal_) + " is out of memory: " + std::to_string(wanted) +
                              " bytes are wanted, " + std::to_string(free_bytes) + " of " + std::to_string(all) +
                              " are free");
    }
    check(status, "cudaMalloc");
    return static_cast<std::byte*>(memory);
  }
  // Work that is queued may still use it; a block is given back when its owner ends, not in a step.
  void release(std::byte* memory) noexcept override {
    static_cast<void>(cudaStreamSynchronize(stream_));
    static_cast<void>(cudaFree(memory));
  }

  void upload(void* to, const void* from, std::size_t bytes) override {
    transfer(to, from, bytes, cudaMemcpyHostToDevice);
  }
  void download(void* to, const void* from, std::size_t bytes) override {
    transfer(to, from, bytes, cudaMemcpyDeviceToHost);
    wait();
  }
  void copy(void* to, const void* from, std::size_t bytes) override {
    transfer(to, from, bytes, cudaMemcpyDeviceToDevice);
  }
  void zero(void* to, std::size_t bytes) override {
    if (bytes > 0) check(cudaMemsetAsync(to, 0, bytes, stream_), "cudaMemsetAsync");
  }
  void wait() override { check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize"); }

  std::unique_ptr<Recording> record(const std::function<void()>& queue_work) override {
    cudaGraph_t graph = nullptr;
    check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    try {
      queue_work();
    } catch (...) {
      if (cudaStreamEndCapture(stream_, &graph) == cudaSuccess) cudaGraphDestroy(graph);
      throw;
    }
    check(cudaStreamEndCapture(stream_, &graph), "cudaStreamEndCapture");
    cudaGraphExec_t executable = nullptr;
    const cudaError_t status = cudaGraphInstantiate(&executable, graph, 0);
    cudaGraphDestroy(graph);
    check(status, "cudaGraphInstantiate");
    return std::make_unique<GraphRecording>(executable, stream_);
  }

 private:
  void transfer(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
    if (bytes > 0) check(cudaMemcpyAsync(to, from, bytes, kind, stream_), "cudaMemcpyAsync");
  }
  int ordinal_;
  cudaStream_t stream_ = nullptr;
};

}  // namespace

std::shared_ptr<DeviceStream> open_stream(int ordinal) { return std::make_shared<CudaStream>(ordinal); }

}  // namespace winnow::cuda
