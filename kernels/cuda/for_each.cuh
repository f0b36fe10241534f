// for_each and for_rows (kernels/for_each.h) on a CUDA stream. Elements are independent.
#pragma once

#include "kernels/cuda/launch.cuh"

namespace winnow::cuda {

template <class Body>
__global__ void for_each_kernel(std::int64_t n, Body shared) {
  const auto body = loaded(shared);
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += stride) {
    body(i);
  }
}

template <class Body>
void for_each(const Exec& exec, std::int64_t n, const Body& body) {
  if (n > 0) launch(exec, grid_for(n), for_each_kernel<Body>, n, body);
}

template <class Body>
__global__ void for_each_checked_kernel(std::int64_t n, Body shared, RunState* run) {
  const auto body = loaded(shared);
  bool any = false;
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += stride) {
    if (body.stopped()) {
      body.keep_old(i);
    } else {
      body(i);
      any = any || not_finite(body.written(i));
    }
  }
  if (any) mark_not_finite(run);
}

template <class Body>
void for_each_checked(const Exec& exec, std::int64_t n, const Body& body) {
  if (n > 0) launch(exec, grid_for(n), for_each_checked_kernel<Body>, n, body, exec.run);
}

}  // namespace winnow::cuda

// Lists of functors: each line is one that ops run on CUDA.
#define WINNOW_FOR_EACH(...) template void for_each(const Exec&, std::int64_t, const __VA_ARGS__&)
#define WINNOW_FOR_EACH_CHECKED(...) template void for_each_checked(const Exec&, std::int64_t, const __VA_ARGS__&)
#define WINNOW_FOR_EACH_TYPE(functor) \
  WINNOW_FOR_EACH(functor<float>);    \
  WINNOW_FOR_EACH(functor<bf16>)
