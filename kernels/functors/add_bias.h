// The bias of a layer whose product leaves it out, and a ReLU. Single source for CPU and CUDA.
#pragma once

#include <cstdint>

#include "kernels/functors/chunk.h"
#include "kernels/portable.h"

namespace winnow {

// By element: y = x + bias in every row of `out` elements; may run in place. By element and not by row, so that neighbouring
// threads of a device touch neighbouring memory.
template <class T>
struct AddBias {
  const float* bias;
  const T* x;
  T* y;
  std::int64_t out;
  RowAndColumn begin = {};
  WINNOW_HD auto operands(const auto& run) { return run(x, y); }
  WINNOW_HD void start_at(std::int64_t i) { begin = begin.plus(i, out); }
  WINNOW_HD void operator()(std::int64_t i) const {
    y[i] = from_float<T>(to_float(x[i]) + bias[begin.plus(i, out).col]);
  }
};

// The same with a ReLU behind it: the bits of one after the other, NaN stays.
template <class T>
struct AddBiasRelu {
  AddBias<T> sum;
  WINNOW_HD auto operands(const auto& run) { return sum.operands(run); }
  WINNOW_HD void start_at(std::int64_t i) { sum.start_at(i); }
  WINNOW_HD void operator()(std::int64_t i) const {
    sum(i);
    if (to_float(sum.y[i]) < 0.0f) sum.y[i] = from_float<T>(0.0f);
  }
};

}  // namespace winnow
