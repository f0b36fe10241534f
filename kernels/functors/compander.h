// Weight compander: w = a * f(v / b) with f = arctan, arsinh or erf, and its derivatives. Single
// source for CPU and CUDA; no state.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/portable.h"

namespace winnow {

enum class Companding : std::uint8_t { Arctan, Arsinh, Erf };

// f(u).
template <Companding kind>
WINNOW_HD float companding(float u) {
  if constexpr (kind == Companding::Arctan) return std::atan(u);
  if constexpr (kind == Companding::Arsinh) return std::asinh(u);
  return std::erf(u);
}
// f'(u).
template <Companding kind>
WINNOW_HD float companding_slope(float u) {
  if constexpr (kind == Companding::Arctan) return 1.0f / (1.0f + u * u);
  if constexpr (kind == Companding::Arsinh) return 1.0f / std::sqrt(1.0f + u * u);
  return 1.1283791670955126f * std::exp(-u * u);
}

template <Companding kind>
struct Compand {
  const float* v;
  float a, b;
  float* w;
  WINNOW_HD void operator()(std::int64_t i) const { w[i] = a * companding<kind>(v[i] / b); }
};

template <Companding kind>
struct CompandBackward {
  const float *dw, *v;
  float a, b;
  float* dv;
  WINNOW_HD void operator()(std::int64_t i) const { dv[i] = dw[i] * (a / b) * companding_slope<kind>(v[i] / b); }
};

// Contributions of one element to the gradients of a and b, for a fold over all elements.
struct CompandingGradient {
  float da = 0, db = 0;
};
struct AddCompandingGradients {
  WINNOW_HD CompandingGradient operator()(CompandingGradient x, CompandingGradient y) const {
    return {x.da + y.da, x.db + y.db};
  }
};
template <Companding kind>
struct LoadCompandingGradient {
  const float *dw, *v;
  float a, b;
  WINNOW_HD CompandingGradient operator()(std::int64_t, std::int64_t i) const {
    const float u = v[i] / b;
    return {dw[i] * companding<kind>(u), -dw[i] * (a / b) * u * companding_slope<kind>(u)};
  }
};
struct StoreCompandingGradient {
  float *da, *db;
  WINNOW_HD void operator()(std::int64_t, CompandingGradient sum) const {
    *da = sum.da;
    *db = sum.db;
  }
};

}  // namespace winnow
