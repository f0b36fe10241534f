// Softmax of a row and its reverse; T is float or bf16, arithmetic is float. Single source for CPU and CUDA.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/functors/row.h"

namespace winnow {

// y = exp(x - max) / sum. A NaN among the values makes the whole row NaN. May run in place.
template <class T>
struct SoftmaxRow {
  const T* x;
  T* y;
  std::int64_t cols;
  WINNOW_HD void operator()(std::int64_t row) const {
    const T* from = x + row * cols;
    T* to = y + row * cols;
    const float largest = fold_row(
        cols, -INFINITY, [&](std::int64_t i) { return to_float(from[i]); },
        [](float a, float b) { return a < b ? b : a; });
    const float total = sum_row(cols, [&](std::int64_t i) { return std::exp(to_float(from[i]) - largest); });
    const float inverse = 1.0f / total;
    for (std::int64_t i = 0; i < cols; ++i) to[i] = from_float<T>(std::exp(to_float(from[i]) - largest) * inverse);
  }
};

// dx = y (dy - sum(dy y)). May run in place of dy.
template <class T>
struct SoftmaxBackwardRow {
  const T *dy, *y;
  T* dx;
  std::int64_t cols;
  WINNOW_HD void operator()(std::int64_t row) const {
    const T *grad = dy + row * cols, *out = y + row * cols;
    const float dot = sum_row(cols, [&](std::int64_t i) { return to_float(grad[i]) * to_float(out[i]); });
    for (std::int64_t i = 0; i < cols; ++i) {
      dx[row * cols + i] = from_float<T>(to_float(out[i]) * (to_float(grad[i]) - dot));
    }
  }
};

}  // namespace winnow
