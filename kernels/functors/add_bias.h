// The bias of a layer whose product leaves it out. Single source for CPU and CUDA.
#pragma once

#include <cstdint>

#include "kernels/portable.h"

namespace winnow {

// By element: y += bias in every row of `out` elements. By element and not by row, so that neighbouring threads of a
// device touch neighbouring memory.
template <class T>
struct AddBias {
  const float* bias;
  T* y;
  std::int64_t out;
  WINNOW_HD void operator()(std::int64_t i) const { y[i] = from_float<T>(to_float(y[i]) + bias[i % out]); }
};

}  // namespace winnow
