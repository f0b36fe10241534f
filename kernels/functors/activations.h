// Activation functors and their reverses; T is float or bf16. Single source for CPU and CUDA.
#pragma once

#include <cstdint>

#include "kernels/portable.h"

namespace winnow {

// Keeps NaN, so that a diverged run is seen in the loss.
template <class T>
struct Relu {
  const T* x;
  T* y;
  WINNOW_HD auto operands(const auto& run) { return run(x, y); }
  WINNOW_HD void operator()(std::int64_t i) const {
    const float value = to_float(x[i]);
    y[i] = from_float<T>(value < 0.0f ? 0.0f : value);
  }
};

// From the output, so that the forward pass may run in place.
template <class T>
struct ReluBackward {
  const T *dy, *y;
  T* dx;
  WINNOW_HD auto operands(const auto& run) { return run(dy, y, dx); }
  WINNOW_HD void operator()(std::int64_t i) const {
    const T grad = dy[i];
    dx[i] = to_float(y[i]) <= 0.0f ? from_float<T>(0.0f) : grad;
  }
};

}  // namespace winnow
