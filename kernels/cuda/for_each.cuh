// Runs a functor over 0 .. n-1 on a CUDA stream; the functors are those of kernels/functors. Elements are independent.
#pragma once

#include "kernels/cuda/launch.cuh"

namespace winnow::cuda {

template <class Body>
__global__ void for_each_kernel(std::int64_t n, Body body) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += stride) {
    body(i);
  }
}

template <class Body>
cudaError_t for_each(cudaStream_t stream, std::int64_t n, const Body& body) {
  if (n == 0) return cudaSuccess;
  return launch(stream, grid_for(n), for_each_kernel<Body>, n, body);
}

}  // namespace winnow::cuda
