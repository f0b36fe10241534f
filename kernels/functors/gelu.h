// GELU with the error function and its reverse; T is float or bf16, arithmetic is float. Single source for CPU and CUDA.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/portable.h"

namespace winnow {

inline constexpr float kInverseSqrt2 = 0.70710678f, kInverseSqrt2Pi = 0.39894228f;

// y = x Phi(x), Phi the normal distribution's function.
template <class T>
struct Gelu {
  const T* x;
  T* y;
  WINNOW_HD auto operands(const auto& run) { return run(x, y); }
  WINNOW_HD void operator()(std::int64_t i) const {
    const float value = to_float(x[i]);
    y[i] = from_float<T>(0.5f * value * (1.0f + std::erf(value * kInverseSqrt2)));
  }
};

// dx = dy (Phi(x) + x phi(x)).
template <class T>
struct GeluBackward {
  const T *dy, *x;
  T* dx;
  WINNOW_HD auto operands(const auto& run) { return run(dy, x, dx); }
  WINNOW_HD void operator()(std::int64_t i) const {
    const float value = to_float(x[i]);
    const float below = 0.5f * (1.0f + std::erf(value * kInverseSqrt2));
    const float density = kInverseSqrt2Pi * std::exp(-0.5f * value * value);
    dx[i] = from_float<T>(to_float(dy[i]) * (below + value * density));
  }
};

}  // namespace winnow
