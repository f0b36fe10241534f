// for_each, for_rows and for_each_checked (kernels/for_each.h) on a CUDA stream. Elements are independent.
#pragma once

#include <span>

#include "kernels/cuda/launch.cuh"
#include "kernels/functors/chunk.h"
#include "kernels/loops.h"

// An argument that all threads read where it lies, by an index that they compute.
#if !defined(WINNOW_EMULATED)
#define WINNOW_GRID_CONSTANT __grid_constant__
#else
#define WINNOW_GRID_CONSTANT
#endif

namespace winnow::cuda {

template <class Body>
__global__ void for_each_kernel(std::int64_t n, Body shared) {
  const auto body = loaded(shared);
  for_own_elements(n, static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x,
                   static_cast<std::int64_t>(gridDim.x) * blockDim.x, body,
                   [](const auto& at, std::int64_t i) { at(i); });
}

template <class Body>
void for_each(const Exec& exec, std::int64_t n, const Body& body) {
  if (n > 0) launch(exec, grid_for(chunks_of<Body>(n)), for_each_kernel<Body>, n, body);
}

// Loops of one launch. Each has blocks of its own: those from the end of the loop before up to its own end.
template <class Body>
struct LoopsOfLaunch {
  Loop<Body> loops[kLoopsAtOnce<Body>];
  unsigned ends[kLoopsAtOnce<Body>];
  unsigned count;
};

// Calls run(loop, first, stride) for the loop of this block: its thread is `first` of `stride`.
template <class Body, class Run>
__device__ void in_own_loop(const LoopsOfLaunch<Body>& all, const Run& run) {
  unsigned at = 0;
  while (at + 1 < all.count && blockIdx.x >= all.ends[at]) ++at;
  const unsigned begin = at == 0 ? 0 : all.ends[at - 1];
  run(all.loops[at], static_cast<std::int64_t>(blockIdx.x - begin) * blockDim.x + threadIdx.x,
      static_cast<std::int64_t>(all.ends[at] - begin) * blockDim.x);
}

template <class Body>
__global__ void for_each_loop_kernel(const WINNOW_GRID_CONSTANT LoopsOfLaunch<Body> all) {
  in_own_loop(all, [](const Loop<Body>& loop, std::int64_t first, std::int64_t stride) {
    const auto body = loaded(loop.body);
    for_own_elements(loop.n, first, stride, body, [](const auto& at, std::int64_t i) { at(i); });
  });
}

template <class Body>
__global__ void for_each_checked_kernel(const WINNOW_GRID_CONSTANT LoopsOfLaunch<Body> all, RunState* run_state) {
  in_own_loop(all, [run_state](const Loop<Body>& loop, std::int64_t first, std::int64_t stride) {
    const auto body = loaded(loop.body);
    bool any = false;
    for_own_elements(loop.n, first, stride, body, [&any](const auto& at, std::int64_t i) {
      if (at.stopped()) {
        at.keep_old(i);
      } else {
        at(i);
        any = any || not_finite(at.written(i));
      }
    });
    if (any) mark_not_finite(run_state);
  });
}

// Calls run(grid, arguments) for each launch.
template <class Body, class Run>
void in_launches_of_blocks(std::span<const Loop<Body>> loops, const Run& run) {
  in_launches(loops, [&](std::span<const Loop<Body>> part) {
    LoopsOfLaunch<Body> all{};
    static_assert(sizeof all <= 4096 - sizeof(RunState*));
    Grid grid{.blocks = 0};
    for (const Loop<Body>& loop : part) {
      if (loop.n > 0) grid.blocks += grid_for(chunks_of<Body>(loop.n)).blocks;
      all.loops[all.count] = loop;
      all.ends[all.count++] = grid.blocks;
    }
    run(grid, all);
  });
}

template <class Body>
void for_each(const Exec& exec, std::span<const Loop<Body>> loops) {
  in_launches_of_blocks(
      loops, [&](const Grid& grid, const auto& all) { launch(exec, grid, for_each_loop_kernel<Body>, all); });
}

template <class Body>
void for_each_checked(const Exec& exec, std::span<const Loop<Body>> loops) {
  in_launches_of_blocks(loops, [&](const Grid& grid, const auto& all) {
    launch(exec, grid, for_each_checked_kernel<Body>, all, exec.run);
  });
}

}  // namespace winnow::cuda

// Lists of functors: each line is one that ops run on CUDA.
#define WINNOW_FOR_EACH(...) template void for_each(const Exec&, std::int64_t, const __VA_ARGS__&)
#define WINNOW_FOR_EACH_LOOP(...) template void for_each(const Exec&, std::span<const Loop<__VA_ARGS__>>)
#define WINNOW_FOR_EACH_CHECKED(...) template void for_each_checked(const Exec&, std::span<const Loop<__VA_ARGS__>>)
#define WINNOW_FOR_EACH_TYPE(functor) \
  WINNOW_FOR_EACH(functor<float>);    \
  WINNOW_FOR_EACH(functor<bf16>)
