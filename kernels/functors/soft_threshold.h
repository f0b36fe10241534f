// Soft thresholds: sign(w) * max(|w| - t, 0) with one t for all entries, its derivatives, and the exponential, one of
// the functions that keep a trained threshold positive (the other is in sigmoid.h). Single source for CPU and CUDA.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/portable.h"

namespace winnow {

struct SoftThreshold {
  const float *w, *threshold;
  float* y;
  float t = 0;  // set by loaded()
  WINNOW_HD SoftThreshold loaded() const { return {w, threshold, y, *threshold}; }
  WINNOW_HD auto operands(const auto& run) { return run(w, y); }
  WINNOW_HD void operator()(std::int64_t i) const {
    const float above = std::fabs(w[i]) - t;
    y[i] = above <= 0 ? 0.0f : std::copysign(above, w[i]);  // so that a NaN stays one
  }
};

// dw of dy: entries that were cut off have no gradient.
struct SoftThresholdBackward {
  const float *dy, *y;
  float* dw;
  WINNOW_HD auto operands(const auto& run) { return run(dy, y, dw); }
  WINNOW_HD void operator()(std::int64_t i) const { dw[i] = y[i] == 0 ? 0.0f : dy[i]; }
};

// What each entry adds to the gradient of t, for a fold over all entries.
struct LoadThresholdGradient {
  const float *dy, *y;
  WINNOW_HD float operator()(std::int64_t, std::int64_t i) const {
    return y[i] == 0 ? 0.0f : -dy[i] * std::copysign(1.0f, y[i]);
  }
};

template <class T>
struct Exp {
  const T* x;
  T* y;
  WINNOW_HD auto operands(const auto& run) { return run(x, y); }
  WINNOW_HD void operator()(std::int64_t i) const { y[i] = from_float<T>(std::exp(to_float(x[i]))); }
};

}  // namespace winnow
