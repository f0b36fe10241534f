// Runs a functor over 0 .. n-1 on the device of `exec`; elements must be independent. One meaning
// everywhere, so an op whose work is a functor needs one definition for all devices.
//
// On the CPU the loops are below. For CUDA the functor must stand in a list of kernels/cuda/*.cu,
// where nvcc instantiates it; tools/check-device-lists compares those lists with what ops call.
// A functor with loaded() (portable.h) is loaded once a range or thread. One with operands() (functors/chunk.h) takes several
// elements at once on a device, as it does on the CPU where the compiler vectorises its loop.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <span>

#include "kernels/dry.h"
#include "kernels/exec.h"
#include "kernels/loops.h"
#include "kernels/threads.h"

namespace winnow {

namespace cuda {
// Defined in kernels/cuda/for_each.cuh. Weak, so that programs without a CUDA back end link; they
// never get here, since no program can be made for a device that has no back end (core/program.h).
template <class Body>
[[gnu::weak]] void for_each(const Exec& exec, std::int64_t n, const Body& body);
template <class Body>
[[gnu::weak]] void for_each(const Exec& exec, std::span<const Loop<Body>> loops);
template <class Body>
[[gnu::weak]] void for_each_checked(const Exec& exec, std::span<const Loop<Body>> loops);
}  // namespace cuda

namespace cpu {

// Of a functor that is loaded. It is copied, so the compiler sees that its pointers do not change.
template <class Body>
void vector_loop(std::int64_t begin, std::int64_t end, const Body& shared) {
  const Body body = shared;
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) body(i);
}
template <class Body>
void for_range(std::int64_t begin, std::int64_t end, const Body& shared) {
  vector_loop(begin, end, loaded(shared));
}

// The same for a functor of which written(i) is the number it wrote; true if any of them is infinite or NaN. In a loop
// of its own over what is still in the cache, since a reduction within the other would keep that from vectorising.
template <class Body>
bool any_not_finite(std::int64_t begin, std::int64_t end, const Body& shared) {
  constexpr std::int64_t kBlock = 1024;
  const auto body = loaded(shared);
  std::uint32_t any = 0;
  for (std::int64_t first = begin; first < end; first += kBlock) {
    const std::int64_t last = std::min(end, first + kBlock);
    if (body.stopped()) {
      for (std::int64_t i = first; i < last; ++i) body.keep_old(i);
      continue;
    }
    vector_loop(first, last, body);
    for (std::int64_t i = first; i < last; ++i) any |= static_cast<std::uint32_t>(not_finite(body.written(i)));
  }
  return any != 0;
}

// Calls run(begin, end) for contiguous ranges of at least `grain`, which start at multiples of `unit`, one a thread.
template <class Run>
void in_ranges(int threads, std::int64_t n, std::int64_t grain, std::int64_t unit, const Run& run) {
  const std::int64_t parts = std::min<std::int64_t>(threads, (n + grain - 1) / grain);
  if (parts <= 1) return run(std::int64_t{0}, n);
  const std::int64_t each = ((n + parts - 1) / parts + unit - 1) / unit * unit;
  on_threads(static_cast<int>(parts), [&](int part) { run(std::min(n, part * each), std::min(n, (part + 1) * each)); });
}

}  // namespace cpu

// Elements: vectorised within a range, and two threads do not write the same cache line. `grain` is
// the least work worth a thread of the CPU, in elements.
template <class Body>
void for_each(const Exec& exec, std::int64_t n, const Body& body, std::int64_t grain = 16384) {
  if (exec.device == Device::Cuda) return cuda::for_each(exec, n, body);
  if (exec.device == Device::Dry) return dry::note_loop(exec, n, body);
  cpu::in_ranges(exec.threads, n, grain, 64,
                 [&](std::int64_t begin, std::int64_t end) { cpu::for_range(begin, end, body); });
}

// Loops that do not depend on each other; on a device many of them are one launch (loops.h).
template <class Body>
void for_each(const Exec& exec, std::span<const Loop<Body>> loops, std::int64_t grain = 16384) {
  if (exec.device == Device::Cuda) return cuda::for_each(exec, loops);
  if (exec.device == Device::Dry) return dry::note_loops(exec, loops);
  for (const Loop<Body>& loop : loops) {
    cpu::in_ranges(exec.threads, loop.n, grain, 64,
                   [&](std::int64_t begin, std::int64_t end) { cpu::for_range(begin, end, loop.body); });
  }
}

// The same for functors of which written(i) is the number it wrote: if any is infinite or NaN, the run state is marked
// (run_state.h). Where the loaded functor is stopped(), keep_old(i) leaves the element as it was.
template <class Body>
void for_each_checked(const Exec& exec, std::span<const Loop<Body>> loops, std::int64_t grain = 16384) {
  if (exec.device == Device::Cuda) return cuda::for_each_checked(exec, loops);
  if (exec.device == Device::Dry) return dry::note_loops(exec, loops);
  std::uint32_t any = 0;
  for (const Loop<Body>& loop : loops) {
    cpu::in_ranges(exec.threads, loop.n, grain, 64, [&](std::int64_t begin, std::int64_t end) {
      if (cpu::any_not_finite(begin, end, loop.body)) std::atomic_ref<std::uint32_t>(any).store(1);
    });
  }
  if (any != 0) mark_not_finite(exec.run);
}

// How many rows of this cost, in elements, are worth a thread of the CPU.
constexpr std::int64_t rows_worth(std::int64_t cost) {
  return std::max<std::int64_t>(1, 4096 / std::max<std::int64_t>(1, cost));
}

// Rows: the functor is a loop of its own, so the CPU does not vectorise across calls. `grain` as above, in rows.
template <class Body>
void for_rows(const Exec& exec, std::int64_t rows, const Body& body, std::int64_t grain = 1) {
  if (exec.device == Device::Cuda) return cuda::for_each(exec, rows, body);
  if (exec.device == Device::Dry) return dry::note_loop(exec, rows, body);
  cpu::in_ranges(exec.threads, rows, grain, 1, [&](std::int64_t begin, std::int64_t end) {
    const auto local = loaded(body);
    for (std::int64_t row = begin; row < end; ++row) local(row);
  });
}

}  // namespace winnow
