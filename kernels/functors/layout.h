// Moving elements without changing them: columns of rows, axes in another order. Single source for CPU and CUDA.
#pragma once

#include <cstdint>

#include "kernels/portable.h"

namespace winnow {

// By row: `cols` neighbouring elements from one array of rows to another.
template <class T>
struct CopyColumns {
  const T* x;
  T* y;
  std::int64_t x_width, x_column, y_width, y_column, cols;
  WINNOW_HD void operator()(std::int64_t row) const {
    const T* from = x + row * x_width + x_column;
    T* to = y + row * y_width + y_column;
    for (std::int64_t i = 0; i < cols; ++i) to[i] = from[i];
  }
};

// By row of the output (its last axis): axes in another order. Of up to six axes; `extent` of the output, `stride` in x.
template <class T>
struct PermuteRow {
  const T* x;
  T* y;
  int rank;
  std::int64_t extent[6], stride[6];
  WINNOW_HD void operator()(std::int64_t row) const {
    const std::int64_t cols = extent[rank - 1], step = stride[rank - 1];
    std::int64_t rest = row, at = 0;
    for (int axis = rank - 2; axis >= 0; --axis) {
      at += rest % extent[axis] * stride[axis];
      rest /= extent[axis];
    }
    for (std::int64_t i = 0; i < cols; ++i) y[row * cols + i] = x[at + i * step];
  }
};

}  // namespace winnow
