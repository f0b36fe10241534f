// One level of the db3 wavelet transform with zero padding, and its inverse, which is its
// transpose. The functors compute one position of one lane, so a CPU loop over lanes vectorises.
// Single source for CPU and CUDA; no state.
#pragma once

#include <cstdint>

#include "kernels/portable.h"
#include "kernels/rng.h"
#include "kernels/run_state.h"

namespace winnow {

inline constexpr int kWaveletTaps = 6;
WINNOW_HD constexpr std::int64_t wavelet_length(std::int64_t n) { return (n + kWaveletTaps - 1) / 2; }

// Coefficients come at positions 2 n + 1 - k: out[n] = sum over k of filter[k] x[2 n + 1 - k].
// The tables are local to functions, since device code cannot read a static member.
struct Db3 {
  WINNOW_HD static float low(int k) {
    constexpr float taps[kWaveletTaps] = {0.0352262918821f, -0.0854412738822f, -0.1350110200104f,
                                          0.4598775021193f, 0.8068915093133f,  0.3326705529510f};
    return taps[k];
  }
  WINNOW_HD static float high(int k) {
    constexpr float taps[kWaveletTaps] = {-0.3326705529510f, 0.8068915093133f, -0.4598775021193f,
                                          -0.1350110200104f, 0.0854412738822f, 0.0352262918821f};
    return taps[k];
  }
};

struct TapRange {
  int first, last;  // inclusive
};
// Taps k whose input position 2 at + 1 - k lies in [0, n).
WINNOW_HD TapRange analysis_taps(std::int64_t at, std::int64_t n) {
  const std::int64_t first = 2 * at + 2 - n, last = 2 * at + 1;
  return {static_cast<int>(first > 0 ? first : 0), static_cast<int>(last < 5 ? last : 5)};
}

// x {n, lanes} -> low and high {wavelet_length(n), lanes}. `kInside`: all taps lie inside, so that
// their number is a constant and lanes vectorise.
struct WaveletAnalysis {
  const float* x;
  float *low, *high;
  std::int64_t n, lanes;
  WINNOW_HD WaveletAnalysis block(std::int64_t b) const {
    const std::int64_t written = b * wavelet_length(n) * lanes;
    return {x + b * n * lanes, low + written, high + written, n, lanes};
  }
  WINNOW_HD bool inside(std::int64_t at) const { return 2 * at >= kWaveletTaps - 2 && 2 * at + 1 < n; }
  template <bool kInside>
  WINNOW_HD void step(std::int64_t at, std::int64_t lane) const {
    const TapRange taps = kInside ? TapRange{0, kWaveletTaps - 1} : analysis_taps(at, n);
    float l = 0, h = 0;
    for (int k = taps.first; k <= taps.last; ++k) {
      const float value = x[(2 * at + 1 - k) * lanes + lane];
      l += Db3::low(k) * value;
      h += Db3::high(k) * value;
    }
    low[at * lanes + lane] = l;
    high[at * lanes + lane] = h;
  }
};

// The transpose: low and high -> x; each band is scaled first. Position `at` is reached by every
// second tap k, from coefficient (at - 1 + k) / 2.
struct WaveletSynthesis {
  const float *low, *high;
  float* x;
  std::int64_t n, lanes;
  float low_scale, high_scale;
  WINNOW_HD WaveletSynthesis block(std::int64_t b) const {
    const std::int64_t read = b * wavelet_length(n) * lanes;
    return {low + read, high + read, x + b * n * lanes, n, lanes, low_scale, high_scale};
  }
  WINNOW_HD bool inside(std::int64_t at) const { return (at - 1 + kWaveletTaps - 1) / 2 < wavelet_length(n); }
  template <bool kInside>
  WINNOW_HD void step(std::int64_t at, std::int64_t lane) const {
    const int first = at % 2 == 0 ? 1 : 0;
    const std::int64_t from = (at - 1 + first) / 2;
    float sum = 0;
    for (int j = 0; j < kWaveletTaps / 2; ++j) {
      if (!kInside && from + j >= wavelet_length(n)) break;
      sum += Db3::low(first + 2 * j) * (low_scale * low[(from + j) * lanes + lane]) +
             Db3::high(first + 2 * j) * (high_scale * high[(from + j) * lanes + lane]);
    }
    x[at * lanes + lane] = sum;
  }
};

// A step at one position of one lane of one of many blocks that follow each other, for devices that give each a thread; CPU loops
// go by rows of lanes. `positions` of what is written.
template <class Step>
struct WaveletElement {
  Step level;
  std::int64_t positions;
  WINNOW_HD void operator()(std::int64_t i) const {
    const std::int64_t at = i / level.lanes % positions, lane = i % level.lanes;
    const Step block = level.block(i / level.lanes / positions);
    if (block.inside(at)) {
      block.template step<true>(at, lane);
    } else {
      block.template step<false>(at, lane);
    }
  }
};

// The inverse with scales that were drawn on the device; null: 1.
struct ScaledSynthesis {
  WaveletElement<WaveletSynthesis> inverse;
  const float *low_scale, *high_scale;
  WINNOW_HD ScaledSynthesis loaded() const {
    ScaledSynthesis now = *this;
    now.inverse.level.low_scale = low_scale == nullptr ? 1.0f : *low_scale;
    now.inverse.level.high_scale = high_scale == nullptr ? 1.0f : *high_scale;
    return now;
  }
  WINNOW_HD void operator()(std::int64_t i) const { inverse(i); }
};

// Scales of the three detail bands of one call of a layer: 0 for a dropped band, 1 / (1 - p) for a
// kept one that might have been dropped, 1 for one that never is.
struct BandScales {
  float band[3];
};

// Draws them, one a band and call, of the bands 0 to 2 that are in the set `droppable` (a bit each).
struct DrawBands {
  const RunFeed* feed;
  std::uint32_t stream;
  unsigned droppable;
  const double* p;
  BandScales* scales;
  WINNOW_HD void operator()(std::int64_t) const {
    const RngKey key{feed->seed, stream, feed->step};
    for (unsigned i = 0; i < 3; ++i) {
      const bool keep = (droppable >> i & 1u) == 0 || uniform_at(key, i) >= static_cast<float>(*p);
      scales->band[i] = !keep ? 0.0f : (droppable >> i & 1u) == 0 ? 1.0f : static_cast<float>(1.0 / (1.0 - *p));
    }
  }
};

}  // namespace winnow
