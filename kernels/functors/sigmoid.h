// Sigmoid and its reverse; T is float or bf16, arithmetic is float. Single source for CPU and CUDA.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/portable.h"

namespace winnow {

template <class T>
struct Sigmoid {
  const T* x;
  T* y;
  WINNOW_HD auto operands(const auto& run) { return run(x, y); }
  WINNOW_HD void operator()(std::int64_t i) const { y[i] = from_float<T>(1.0f / (1.0f + std::exp(-to_float(x[i])))); }
};
template <class T>
struct SigmoidBackward {
  const T *dy, *y;
  T* dx;
  WINNOW_HD auto operands(const auto& run) { return run(dy, y, dx); }
  WINNOW_HD void operator()(std::int64_t i) const {
    const float s = to_float(y[i]);
    dx[i] = from_float<T>(to_float(dy[i]) * s * (1.0f - s));
  }
};

}  // namespace winnow
