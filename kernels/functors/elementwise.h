// One-element functors of the elementwise ops; T is float or bf16, arithmetic is float. Inputs and
// outputs may be the same memory. Real numbers that a user sets are read where they lie as a functor runs. Single source
// for CPU and CUDA.
#pragma once

#include <cstdint>

#include "kernels/portable.h"

namespace winnow {

struct Fill {
  float* y;
  const double* value;
  WINNOW_HD auto operands(const auto& run) { return run(y); }
  WINNOW_HD void operator()(std::int64_t i) const { y[i] = static_cast<float>(*value); }
};

template <class From, class To>
struct Cast {
  const From* x;
  To* y;
  WINNOW_HD auto operands(const auto& run) { return run(x, y); }
  WINNOW_HD void operator()(std::int64_t i) const { y[i] = from_float<To>(to_float(x[i])); }
};

template <class T>
struct Add {
  const T *a, *b;
  T* y;
  WINNOW_HD auto operands(const auto& run) { return run(a, b, y); }
  WINNOW_HD void operator()(std::int64_t i) const { y[i] = from_float<T>(to_float(a[i]) + to_float(b[i])); }
};

template <class T>
struct Mul {
  const T *a, *b;
  T* y;
  WINNOW_HD auto operands(const auto& run) { return run(a, b, y); }
  WINNOW_HD void operator()(std::int64_t i) const { y[i] = from_float<T>(to_float(a[i]) * to_float(b[i])); }
};

// x + static_cast<float>(*strength) * sign(w); the sign of zero is zero, that of NaN is NaN.
template <class T>
struct AddSign {
  const T *x, *w;
  T* y;
  const double* strength;
  WINNOW_HD auto operands(const auto& run) { return run(x, w, y); }
  WINNOW_HD void operator()(std::int64_t i) const {
    const float value = to_float(w[i]);
    const float sign = value > 0 ? 1.0f : value < 0 ? -1.0f : value;
    y[i] = from_float<T>(to_float(x[i]) + static_cast<float>(*strength) * sign);
  }
};

template <class T>
struct AddScaled {
  const T *x, *z;
  T* y;
  const double* factor;
  WINNOW_HD auto operands(const auto& run) { return run(x, z, y); }
  WINNOW_HD void operator()(std::int64_t i) const {
    y[i] = from_float<T>(to_float(x[i]) + static_cast<float>(*factor) * to_float(z[i]));
  }
};

// x / d; 0 where d is not above zero, NaN where it is NaN.
template <class T>
struct DividePositive {
  const T *x, *d;
  T* y;
  WINNOW_HD auto operands(const auto& run) { return run(x, d, y); }
  WINNOW_HD void operator()(std::int64_t i) const {
    const float by = to_float(d[i]);
    y[i] = from_float<T>(by <= 0 ? 0.0f : to_float(x[i]) / by);
  }
};

// From a to b by the share t.
template <class T>
struct Lerp {
  const T *a, *b, *t;
  T* y;
  WINNOW_HD auto operands(const auto& run) { return run(a, b, t, y); }
  WINNOW_HD void operator()(std::int64_t i) const {
    const float from = to_float(a[i]);
    y[i] = from_float<T>(from + to_float(t[i]) * (to_float(b[i]) - from));
  }
};

// NaN stays.
template <class T>
struct AtLeast {
  const T* x;
  T* y;
  const double* least;
  WINNOW_HD auto operands(const auto& run) { return run(x, y); }
  WINNOW_HD void operator()(std::int64_t i) const {
    const float value = to_float(x[i]), bound = static_cast<float>(*least);
    y[i] = from_float<T>(value < bound ? bound : value);
  }
};

// y = x * (a number known only when the program runs).
template <class T>
struct ScaleBy {
  const T* x;
  const float* scale;
  T* y;
  WINNOW_HD auto operands(const auto& run) { return run(x, y); }
  WINNOW_HD void operator()(std::int64_t i) const { y[i] = from_float<T>(to_float(x[i]) * *scale); }
};

template <class T>
struct DivideBy {
  const T* x;
  const float* divisor;
  T* y;
  WINNOW_HD auto operands(const auto& run) { return run(x, y); }
  WINNOW_HD void operator()(std::int64_t i) const { y[i] = from_float<T>(to_float(x[i]) / *divisor); }
};

template <class T>
struct Broadcast {
  const float* x;
  T* y;
  WINNOW_HD auto operands(const auto& run) { return run(y); }
  WINNOW_HD void operator()(std::int64_t i) const { y[i] = from_float<T>(*x); }
};

// By row: y = a + b, where b is one row that is added to every row of a.
template <class T>
struct AddToRow {
  const T* a;
  const float* b;
  T* y;
  std::int64_t cols;
  WINNOW_HD void operator()(std::int64_t row) const {
    for (std::int64_t i = 0; i < cols; ++i) y[row * cols + i] = from_float<T>(to_float(a[row * cols + i]) + b[i]);
  }
};

}  // namespace winnow
