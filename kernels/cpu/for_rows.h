// Runs a functor over rows 0 .. n-1 on the CPU, where a row is a loop of its own: contiguous ranges by thread, no
// vectorising across rows. Rows must be independent.
#pragma once

#include <algorithm>
#include <cstdint>

namespace winnow {

// `cost`: of one row, in elements; so many rows go to a thread that it is worth it.
template <class Body>
void for_rows(int threads, std::int64_t n, std::int64_t cost, const Body& shared) {
  const std::int64_t worth = std::max<std::int64_t>(1, 4096 / std::max<std::int64_t>(1, cost));
  const std::int64_t parts = std::clamp<std::int64_t>((n + worth - 1) / worth, 1, threads);
#pragma omp parallel for num_threads(static_cast <int>(parts)) schedule(static, 1) if (parts > 1)
  for (std::int64_t part = 0; part < parts; ++part) {
    const Body body = shared;
    for (std::int64_t row = n * part / parts; row < n * (part + 1) / parts; ++row) body(row);
  }
}

}  // namespace winnow
