// Dropout of elements. Four elements share one Philox block, so the functor's index counts blocks
// of the whole batch's stream: element g of the batch uses word g % 4 of block g / 4, whatever rank
// holds it.
#pragma once

#include <cstdint>

#include "kernels/portable.h"
#include "kernels/rng.h"

namespace winnow {

template <class T>
struct Dropout {
  const T* x;
  T* y;
  std::int64_t n;      // elements here
  std::int64_t first;  // position of element 0 in the whole batch
  RngKey key;
  float p, scale;  // drop when the draw is below p; scale = 1 / (1 - p)

  std::int64_t blocks() const { return (first + n + 3) / 4 - first / 4; }

  WINNOW_HD void operator()(std::int64_t block) const {
    const std::int64_t at = first / 4 + block;
    const RngBlock draws = philox(key, static_cast<std::uint64_t>(at));
    for (int j = 0; j < 4; ++j) {
      const std::int64_t i = 4 * at + j - first;
      if (i < 0 || i >= n) continue;
      y[i] = from_float<T>(uniform01(draws.word[j]) < p ? 0.0f : to_float(x[i]) * scale);
    }
  }
};

}  // namespace winnow
