// Wavelet dropout on the CPU: transforms tiles of channels, level by level, so that a tile's levels
// stay in the cache. Any thread count gives the same bits. Borrows all memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/exec.h"
#include "kernels/functors/wavelet.h"

namespace winnow::cpu {

// Blocks {outer, n, lanes} with contiguous lanes.
void wavelet_analysis(const float* x, float* low, float* high, std::int64_t outer, std::int64_t n, std::int64_t lanes);
void wavelet_synthesis(const float* low, const float* high, float* x, std::int64_t outer, std::int64_t n,
                       std::int64_t lanes, float low_scale, float high_scale);

// Images NHWC. `flat`: the map row by row as one signal of three levels; otherwise one level along both axes.
struct WaveletShape {
  std::int64_t batch, height, width, channels;
  bool flat;
  std::size_t scratch_bytes(int threads) const;
};
// y is x without the bands whose scale is 0; x and y may be the same.
template <class T>
void wavelet_dropout(const WaveletShape& shape, const BandScales& scales, const T* x, T* y, const Exec& exec);

}  // namespace winnow::cpu
