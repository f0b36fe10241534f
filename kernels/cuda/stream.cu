// DeviceStream (kernels/device.h) on the CUDA runtime: one non-blocking stream of one GPU, its memory and its graphs.
#include <cuda_runtime.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/staging.cuh"
#include "kernels/cuda/uuid.cuh"
#include "kernels/device.h"
#include "kernels/waited.h"

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
    check(cudaEventCreateWithFlags(&reached_, cudaEventDisableTiming), "cudaEventCreate");
    check(cudaEventCreateWithFlags(&over_, cudaEventDisableTiming | cudaEventBlockingSync), "cudaEventCreate");
    ++open_;
  }
  ~CudaStream() override {
    --open_;
    cudaEventDestroy(over_);
    cudaEventDestroy(reached_);
    cudaStreamDestroy(stream_);
  }

  Device device() const override { return Device::Cuda; }
  int ordinal() const override { return ordinal_; }
  std::size_t free_bytes() const override {
    std::size_t free = 0, all = 0;
    check(cudaMemGetInfo(&free, &all), "cudaMemGetInfo");
    return free;
  }
  DeviceIdentity identity() const override {
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, ordinal_), "cudaGetDeviceProperties");
    return {properties.name, uuid_text(properties.uuid)};
  }
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
    try {
      wait();
    } catch (...) {  // said where results are read
    }
    static_cast<void>(cudaFree(memory));
  }

  void upload(void* to, const void* from, std::size_t bytes) override {
    constexpr std::size_t kCopiedAtOnce = std::size_t{64}
                                          << 10;  // by CUDA itself; of more the call may wait for the queue
    if (bytes <= kCopiedAtOnce) return transfer(to, from, bytes, cudaMemcpyHostToDevice);
    staging_.upload(stream_, to, from, bytes, [&](cudaEvent_t event) {
      look_until_over([&] { return cudaEventQuery(event); }, "cudaEventQuery");
    });
  }
  void download(void* to, const void* from, std::size_t bytes) override {
    if (patience_) wait();  // the copy itself waits without patience
    transfer(to, from, bytes, cudaMemcpyDeviceToHost);
    wait();
  }
  void copy(void* to, const void* from, std::size_t bytes) override {
    transfer(to, from, bytes, cudaMemcpyDeviceToDevice);
  }
  void zero(void* to, std::size_t bytes) override {
    if (bytes > 0) check(cudaMemsetAsync(to, 0, bytes, stream_), "cudaMemsetAsync");
  }
  void wait() override {
    if (patience_) return look_until_over([&] { return cudaStreamQuery(stream_); }, "cudaStreamQuery");
    // CUDA spins where a process has one context: soonest awake, but beside others that takes a core from those that queue.
    if (open_ == 1) return check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
    check(cudaEventRecord(over_, stream_), "cudaEventRecord");
    check(cudaEventSynchronize(over_), "cudaEventSynchronize");
  }
  void be_patient(Patience patience) override { patience_ = std::move(patience); }

  std::shared_ptr<DeviceStream> beside() override { return std::make_shared<CudaStream>(ordinal_); }
  void after(DeviceStream& other) override {
    const auto& before = dynamic_cast<CudaStream&>(other);
    check(cudaEventRecord(before.reached_, before.stream_), "cudaEventRecord");
    check(cudaStreamWaitEvent(stream_, before.reached_, 0), "cudaStreamWaitEvent");
  }

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
  template <class Query>
  void look_until_over(const Query& query, const char* call) {
    for (Waited clock;;) {
      const cudaError_t status = query();
      if (status != cudaErrorNotReady) return check(status, call);
      static_cast<void>(cudaGetLastError());  // it is none
      const double waited = clock.look();
      if (patience_) patience_(waited);
      // A step takes milliseconds; a rank that is late, seconds.
      if (waited < 0.02) {
        std::this_thread::yield();
      } else {
        std::this_thread::sleep_for(std::chrono::microseconds(200));
      }
    }
  }
  void transfer(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
    if (bytes > 0) check(cudaMemcpyAsync(to, from, bytes, kind, stream_), "cudaMemcpyAsync");
  }
  int ordinal_;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t reached_ = nullptr;            // where another stream waits for this one
  cudaEvent_t over_ = nullptr;               // where the host does, asleep
  static inline std::atomic<int> open_ = 0;  // streams of this process
  Patience patience_;
  Staging staging_;
};

}  // namespace

std::shared_ptr<DeviceStream> open_stream(int ordinal) { return std::make_shared<CudaStream>(ordinal); }

}  // namespace winnow::cuda
