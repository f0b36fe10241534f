// Runs a functor over 0 .. n-1 on the CPU: contiguous ranges by thread, vectorised within a range.
// The functor is copied into each range, so the compiler sees that its pointers do not change.
// Elements must be independent.
#pragma once

#include <algorithm>
#include <cstdint>

namespace winnow {

template <class Body>
void for_range(std::int64_t begin, std::int64_t end, const Body& shared) {
  const Body body = shared;
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) body(i);
}

// `grain`: the least work worth a thread, in elements. Ranges start at multiples of 64 elements, so
// two threads do not write the same cache line.
template <class Body>
void for_each(int threads, std::int64_t n, const Body& body, std::int64_t grain = 16384) {
  const std::int64_t parts = std::min<std::int64_t>(threads, (n + grain - 1) / grain);
  if (parts <= 1) {
    for_range(0, n, body);
    return;
  }
  const std::int64_t each = ((n + parts - 1) / parts + 63) / 64 * 64;
#pragma omp parallel for num_threads(static_cast <int>(parts)) schedule(static, 1)
  for (std::int64_t part = 0; part < parts; ++part) {
    for_range(std::min(n, part * each), std::min(n, (part + 1) * each), body);
  }
}

}  // namespace winnow
