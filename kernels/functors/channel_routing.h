// Selecting channels of NHWC activations by sample and adding a narrow block's result back
// (mixture-of-depths). The functors do one pixel, all its channels. T is float or bf16, arithmetic
// is float. Single source for CPU and CUDA.
#pragma once

#include <cstdint>

#include "kernels/portable.h"

namespace winnow {

enum class Fusion : std::uint8_t { FirstK, LastK, Original };

// Where the j-th selected channel, whose own number is `own`, is added.
WINNOW_HD std::int64_t fused_channel(Fusion fusion, std::int64_t j, std::int64_t own, std::int64_t k, std::int64_t c) {
  return fusion == Fusion::FirstK ? j : fusion == Fusion::LastK ? c - k + j : own;
}

// Does score `a` come before score `b`? NaN counts as the highest, so that it reaches the activations.
WINNOW_HD bool higher(float a, float b) { return a > b || (a != a && b == b); }

// The k channels of highest score of one sample, best first, equal scores in the order of the channels.
struct TopChannels {
  const float* score;   // {n, c}
  std::int32_t* index;  // {n, k}
  std::int64_t c, k;
  WINNOW_HD void operator()(std::int64_t n) const {
    const float* s = score + n * c;
    std::int32_t* out = index + n * k;
    for (std::int64_t j = 0; j < k; ++j) {
      std::int64_t best = -1;
      for (std::int64_t i = 0; i < c; ++i) {
        // After the previous choice in the order (score descending, channel ascending).
        if (j > 0) {
          const std::int32_t before = out[j - 1];
          if (higher(s[i], s[before]) || (!higher(s[before], s[i]) && i <= before)) continue;
        }
        if (best < 0 || higher(s[i], s[best])) best = i;
      }
      out[j] = static_cast<std::int32_t>(best < 0 ? 0 : best);
    }
  }
};

template <class T>
struct GatherChannels {
  const T* x;                 // {pixels, c}
  const std::int32_t* index;  // {n, k}
  T* y;                       // {pixels, k}
  std::int64_t area, c, k;
  WINNOW_HD void operator()(std::int64_t pixel) const {
    const std::int32_t* own = index + pixel / area * k;
    for (std::int64_t j = 0; j < k; ++j) y[pixel * k + j] = x[pixel * c + own[j]];
  }
};

template <class T>
struct ScatterChannels {
  const T* dy;
  const std::int32_t* index;
  T* dx;
  std::int64_t area, c, k;
  WINNOW_HD void operator()(std::int64_t pixel) const {
    const std::int32_t* own = index + pixel / area * k;
    for (std::int64_t i = 0; i < c; ++i) dx[pixel * c + i] = from_float<T>(0.0f);
    for (std::int64_t j = 0; j < k; ++j) dx[pixel * c + own[j]] = dy[pixel * k + j];
  }
};

// y = x, with u[j] * s[index[j]] added to the channel that `fusion` says.
template <class T>
struct FuseChannels {
  const T *x, *u;
  const float* score;
  const std::int32_t* index;
  T* y;
  std::int64_t area, c, k;
  Fusion fusion;
  WINNOW_HD void operator()(std::int64_t pixel) const {
    const std::int64_t n = pixel / area;
    const std::int32_t* own = index + n * k;
    if (x != y) {
      for (std::int64_t i = 0; i < c; ++i) y[pixel * c + i] = x[pixel * c + i];
    }
    for (std::int64_t j = 0; j < k; ++j) {
      T& at = y[pixel * c + fused_channel(fusion, j, own[j], k, c)];
      at = from_float<T>(to_float(at) + to_float(u[pixel * k + j]) * score[n * c + own[j]]);
    }
  }
};

template <class T>
struct FuseBackwardBlock {
  const T* dy;
  const float* score;
  const std::int32_t* index;
  T* du;
  std::int64_t area, c, k;
  Fusion fusion;
  WINNOW_HD void operator()(std::int64_t pixel) const {
    const std::int64_t n = pixel / area;
    const std::int32_t* own = index + n * k;
    for (std::int64_t j = 0; j < k; ++j) {
      const float value = to_float(dy[pixel * c + fused_channel(fusion, j, own[j], k, c)]);
      du[pixel * k + j] = from_float<T>(value * score[n * c + own[j]]);
    }
  }
};

// One sample: the sum over pixels in their order, zero for channels that were not selected.
template <class T>
struct FuseBackwardScores {
  const T *dy, *u;
  const std::int32_t* index;
  float* dscore;  // {n, c}
  std::int64_t area, c, k;
  Fusion fusion;
  WINNOW_HD void operator()(std::int64_t n) const {
    const std::int32_t* own = index + n * k;
    for (std::int64_t i = 0; i < c; ++i) dscore[n * c + i] = 0;
    for (std::int64_t pixel = n * area; pixel < (n + 1) * area; ++pixel) {
      for (std::int64_t j = 0; j < k; ++j) {
        const float value = to_float(dy[pixel * c + fused_channel(fusion, j, own[j], k, c)]);
        dscore[n * c + own[j]] += value * to_float(u[pixel * k + j]);
      }
    }
  }
};

}  // namespace winnow
