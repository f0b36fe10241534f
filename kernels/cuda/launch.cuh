// The only launch syntax of the tree. A launch is asynchronous on its stream; an error of the launch
// itself is thrown here, errors of the kernel surface at the next synchronisation.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>

#include "kernels/exec.h"

namespace winnow::cuda {

struct Grid {
  unsigned blocks = 1, threads = 256;
  std::size_t shared_bytes = 0;
};

// Enough blocks for `items` threads, at most `most`: the kernels stride over what is left.
inline Grid grid_for(std::int64_t items, unsigned threads = 256, std::int64_t most = 65536) {
  const std::int64_t blocks = (items + threads - 1) / threads;
  return {static_cast<unsigned>(std::clamp<std::int64_t>(blocks, 1, most)), threads, 0};
}

template <class... Params, class... Args>
void launch(const Exec& exec, const Grid& grid, void (*kernel)(Params...), const Args&... args) {
  kernel<<<grid.blocks, grid.threads, grid.shared_bytes, static_cast<cudaStream_t>(exec.stream)>>>(args...);
  const cudaError_t status = cudaGetLastError();
  if (status != cudaSuccess) throw std::runtime_error(cudaGetErrorString(status));
}

}  // namespace winnow::cuda
