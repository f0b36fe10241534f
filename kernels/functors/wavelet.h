// One level of the db3 wavelet transform with zero padding, and its inverse, which is its
// transpose. The functors compute one position of one lane, so a CPU loop over lanes vectorises.
// Single source for CPU and CUDA; no state.
#pragma once

#include <cstdint>

#include "kernels/portable.h"

namespace winnow {

inline constexpr int kWaveletTaps = 6;
constexpr std::int64_t wavelet_length(std::int64_t n) { return (n + kWaveletTaps - 1) / 2; }

// Coefficients come at positions 2 n + 1 - k: out[n] = sum over k of filter[k] x[2 n + 1 - k].
struct Db3 {
  static constexpr float low[kWaveletTaps] = {0.0352262918821f,  -0.0854412738822f,
                                              -0.1350110200104f, 0.4598775021193f,
                                              0.8068915093133f,  0.3326705529510f};
  static constexpr float high[kWaveletTaps] = {-0.3326705529510f, 0.8068915093133f,
                                               -0.4598775021193f, -0.1350110200104f,
                                               0.0854412738822f,  0.0352262918821f};
};

struct TapRange {
  int first, last;  // inclusive
};
// Taps k whose input position 2 at + 1 - k lies in [0, n).
WINNOW_HD TapRange analysis_taps(std::int64_t at, std::int64_t n) {
  const std::int64_t first = 2 * at + 2 - n, last = 2 * at + 1;
  return {static_cast<int>(first > 0 ? first : 0), static_cast<int>(last < 5 ? last : 5)};
}

// x {n, lanes} -> low and high {wavelet_length(n), lanes}.
struct WaveletAnalysis {
  const float* x;
  float *low, *high;
  std::int64_t n, lanes;
  WINNOW_HD void operator()(std::int64_t at, std::int64_t lane) const {
    const TapRange taps = analysis_taps(at, n);
    float l = 0, h = 0;
    for (int k = taps.first; k <= taps.last; ++k) {
      const float value = x[(2 * at + 1 - k) * lanes + lane];
      l += Db3::low[k] * value;
      h += Db3::high[k] * value;
    }
    low[at * lanes + lane] = l;
    high[at * lanes + lane] = h;
  }
};

// The transpose: low and high -> x; the high band is scaled first.
struct WaveletSynthesis {
  const float *low, *high;
  float* x;
  std::int64_t n, lanes;
  float low_scale, high_scale;
  WINNOW_HD void operator()(std::int64_t at, std::int64_t lane) const {
    const std::int64_t m = wavelet_length(n);
    float sum = 0;
    for (int k = at % 2 == 0 ? 1 : 0; k < kWaveletTaps;
         k += 2) {  // the filters reach `at` from (at - 1 + k) / 2
      const std::int64_t from = (at - 1 + k) / 2;
      if (from >= m) break;
      sum += Db3::low[k] * (low_scale * low[from * lanes + lane]) +
             Db3::high[k] * (high_scale * high[from * lanes + lane]);
    }
    x[at * lanes + lane] = sum;
  }
};

// Scales of the three detail bands of one call of a layer: 0 for a dropped band, 1 / (1 - p) for a
// kept one that might have been dropped, 1 for one that never is.
struct BandScales {
  float band[3];
};

}  // namespace winnow
