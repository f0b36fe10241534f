// The only launch syntax of the tree. A launch is asynchronous on its stream; an error of the launch
// itself is thrown here, errors of the kernel surface at the next synchronisation.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "kernels/device.h"
#include "kernels/exec.h"

// Shared memory of a block, as an array `name`. The emulator of the tests has its own.
#if !defined(WINNOW_EMULATED)
#define WINNOW_SHARED(type, name, count) __shared__ type name[count]
#endif

namespace winnow::cuda {

struct Grid {
  unsigned blocks = 1, threads = 256;
};

// Enough blocks for `items` threads, at most `most`: the kernels stride over what is left.
inline Grid grid_for(std::int64_t items, unsigned threads = 256, std::int64_t most = 65536) {
  const std::int64_t blocks = (items + threads - 1) / threads;
  return {static_cast<unsigned>(std::clamp<std::int64_t>(blocks, 1, most)), threads};
}

inline void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());  // it is told here; a fault of the device stays
  const std::string text = std::string(call) + ": " + cudaGetErrorString(status);
  if (status == cudaErrorMemoryAllocation) throw DeviceMemoryError(text);
  throw std::runtime_error(text);
}

template <class... Params, class... Args>
void launch(const Exec& exec, const Grid& grid, void (*kernel)(Params...), const Args&... args) {
  const auto stream = static_cast<cudaStream_t>(exec.stream);
#if !defined(WINNOW_EMULATED)
  kernel<<<grid.blocks, grid.threads, 0, stream>>>(args...);
#else  // tests/emulator
  emulator::launch(kernel, grid.blocks, grid.threads, stream, args...);
#endif
  check(cudaGetLastError(), "kernel launch");
}

}  // namespace winnow::cuda
