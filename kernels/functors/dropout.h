// Dropout of elements. Four elements share one Philox block: element g of the whole batch uses word
// g % 4 of block g / 4, whatever rank holds it. Single source for CPU and CUDA.
#pragma once

#include <cstdint>

#include "kernels/portable.h"
#include "kernels/rng.h"

namespace winnow {

// By element; right for any range.
template <class T>
struct Dropout {
  const T* x;
  T* y;
  std::int64_t first;  // position of element 0 in the whole batch
  RngKey key;
  float p, scale;  // drop when the draw is below p; scale = 1 / (1 - p)

  WINNOW_HD void operator()(std::int64_t i) const {
    const float draw = uniform_at(key, static_cast<std::uint64_t>(first + i));
    y[i] = from_float<T>(draw < p ? 0.0f : to_float(x[i]) * scale);
  }
};

// The same by block of four elements, a quarter of the work: index b stands for elements first + 4
// b .. first + 4 b + 3, so `first` must be a multiple of four.
template <class T>
struct DropoutBlocks {
  Dropout<T> element;

  WINNOW_HD void operator()(std::int64_t block) const {
    const RngBlock draws = philox(element.key, static_cast<std::uint64_t>(element.first / 4 + block));
    const T* x = element.x + 4 * block;
    T* y = element.y + 4 * block;
    for (int j = 0; j < 4; ++j) {
      const float kept = to_float(x[j]) * element.scale;
      y[j] = from_float<T>(uniform01(draws.word[j]) < element.p ? 0.0f : kept);
    }
  }
};

// By example: drops it as a whole or scales it up (drop path, stochastic depth).
template <class T>
struct DropExample {
  const T* x;
  T* y;
  std::int64_t cols, first;  // first: number of example 0 in the whole batch
  RngKey key;
  float p;
  WINNOW_HD void operator()(std::int64_t row) const {
    const bool drops = uniform_at(key, static_cast<std::uint64_t>(first + row)) < p;
    const float scale = 1.0f / (1.0f - p);
    for (std::int64_t i = row * cols; i < (row + 1) * cols; ++i)
      y[i] = from_float<T>(drops ? 0.0f : to_float(x[i]) * scale);
  }
};

}  // namespace winnow
