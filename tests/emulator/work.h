// What is queued on an emulated stream, for the emulator itself and for stand-ins of libraries that queue work of their own
// (cuBLASLt, cuDNN, NCCL). Included by the emulated <cuda_runtime.h>. May be called from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>

#include "tests/emulator/include/cuda_runtime.h"

namespace winnow::emulator {

enum class Kind : std::uint8_t { Kernel, Copy, Memset, Library };

struct Work {
  Kind kind = Kind::Library;
  std::string name;  // for reports
  // Called once in stream order, in each replay of a graph again, with device memory open and the emulator locked: it must
  // not call the runtime. Throws Failure for what a device would report as an error of its own.
  std::function<void()> run;
  // Called as `run` is, before it and any number of times, once nothing earlier in the stream is left; from when it says true
  // it must go on saying so. May be empty. For work that needs what another rank queues: false until that has come too.
  std::function<bool()> ready{};
  std::size_t to_device = 0, to_host = 0;  // bytes of a copy
  const void* owner = nullptr;             // of a library, which may ask whether a graph holds work of it
};

// An error of work that runs. It becomes a report, and `error` stays the device's.
class Failure : public std::runtime_error {
 public:
  explicit Failure(const std::string& what, cudaError_t with = cudaErrorLaunchFailure)
      : std::runtime_error(what), error(with) {}
  cudaError_t error;
};

// Queues work of a library, or adds it to the graph that the stream captures. `call` is what emulator::fail names.
cudaError_t enqueue(const char* call, cudaStream_t stream, Work work);
// What emulator::fail wants this call to return; cudaSuccess otherwise. For library calls that queue nothing.
cudaError_t injected(const char* call);
// Whether these bytes lie in one live allocation of a device.
bool is_device_memory(const void* at, std::size_t bytes);

struct KernelLaunch {
  const void* function;
  const char* parameters;  // names the kernel where the linker cannot
  unsigned grid, block;
  std::function<void()> thread;  // one thread of the kernel, with the arguments of the launch
};
void launch_kernel(cudaStream_t stream, KernelLaunch launch);

// kernel<<<grid, block, 0, stream>>>(args...), for launch.cuh. Arguments are copied now; what goes wrong is what
// cudaGetLastError() says.
template <class... Params, class... Args>
void launch(void (*kernel)(Params...), unsigned grid, unsigned block, cudaStream_t stream, const Args&... args) {
  launch_kernel(stream, {reinterpret_cast<const void*>(kernel), __PRETTY_FUNCTION__, grid, block,
                         [kernel, frozen = std::tuple<Params...>(args...)] { std::apply(kernel, frozen); }});
}

}  // namespace winnow::emulator
