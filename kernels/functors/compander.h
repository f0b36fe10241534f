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

// a or b: learned, or given. Either is read when the functor runs.
struct Coefficient {
  const float* learned;  // null: given
  const double* given;
  float now = 0;  // set by loaded()
  WINNOW_HD Coefficient loaded() const {
    return {learned, given, learned != nullptr ? *learned : static_cast<float>(*given)};
  }
  WINNOW_HD float value() const { return now; }
};

template <Companding kind>
struct Compand {
  const float* v;
  Coefficient a, b;
  float* w;
  WINNOW_HD Compand loaded() const { return {v, a.loaded(), b.loaded(), w}; }
  WINNOW_HD auto operands(const auto& run) { return run(v, w); }
  WINNOW_HD void operator()(std::int64_t i) const { w[i] = a.value() * companding<kind>(v[i] / b.value()); }
};

template <Companding kind>
struct CompandBackward {
  const float *dw, *v;
  Coefficient a, b;
  float* dv;
  WINNOW_HD CompandBackward loaded() const { return {dw, v, a.loaded(), b.loaded(), dv}; }
  WINNOW_HD auto operands(const auto& run) { return run(dw, v, dv); }
  WINNOW_HD void operator()(std::int64_t i) const {
    const float slope = companding_slope<kind>(v[i] / b.value());
    dv[i] = dw[i] * (a.value() / b.value()) * slope;
  }
};

// dw / dv.
template <Companding kind>
struct CompandSlope {
  const float* v;
  Coefficient a, b;
  float* slope;
  WINNOW_HD CompandSlope loaded() const { return {v, a.loaded(), b.loaded(), slope}; }
  WINNOW_HD auto operands(const auto& run) { return run(v, slope); }
  WINNOW_HD void operator()(std::int64_t i) const {
    slope[i] = a.value() / b.value() * companding_slope<kind>(v[i] / b.value());
  }
};

// A gradient by v with that of rate * w^2 / 2 added.
template <Companding kind>
struct CompandDecay {
  const float *gradient, *v;
  Coefficient a, b;
  const double* rate;
  float* y;
  WINNOW_HD CompandDecay loaded() const { return {gradient, v, a.loaded(), b.loaded(), rate, y}; }
  WINNOW_HD auto operands(const auto& run) { return run(gradient, v, y); }
  WINNOW_HD void operator()(std::int64_t i) const {
    const float u = v[i] / b.value();
    y[i] = gradient[i] + static_cast<float>(*rate) * a.value() * companding<kind>(u) * (a.value() / b.value()) *
                             companding_slope<kind>(u);
  }
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
  Coefficient a, b;
  WINNOW_HD LoadCompandingGradient loaded() const { return {dw, v, a.loaded(), b.loaded()}; }
  WINNOW_HD CompandingGradient operator()(std::int64_t, std::int64_t i) const {
    const float u = v[i] / b.value();
    return {dw[i] * companding<kind>(u), -dw[i] * (a.value() / b.value()) * u * companding_slope<kind>(u)};
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
