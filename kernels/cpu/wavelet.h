// The wavelet transform on the CPU over blocks {outer, n, lanes} with contiguous lanes. Reentrant.
#pragma once

#include <cstdint>

#include "kernels/functors/wavelet.h"

namespace winnow {

template <bool kInside, class Step>
void wavelet_row(const Step& shared, std::int64_t at) {
  const Step body = shared;
#pragma omp simd
  for (std::int64_t lane = 0; lane < body.lanes; ++lane) body.template step<kInside>(at, lane);
}

template <class Step>
void wavelet_rows(const Step& body, std::int64_t rows) {
  for (std::int64_t at = 0; at < rows; ++at) {
    if (body.inside(at)) {
      wavelet_row<true>(body, at);
    } else {
      wavelet_row<false>(body, at);
    }
  }
}

inline void wavelet_analysis(const float* x, float* low, float* high, std::int64_t outer, std::int64_t n,
                             std::int64_t lanes) {
  const std::int64_t m = wavelet_length(n);
  for (std::int64_t o = 0; o < outer; ++o) {
    wavelet_rows(WaveletAnalysis{x + o * n * lanes, low + o * m * lanes, high + o * m * lanes, n, lanes}, m);
  }
}

inline void wavelet_synthesis(const float* low, const float* high, float* x, std::int64_t outer, std::int64_t n,
                              std::int64_t lanes, float low_scale, float high_scale) {
  const std::int64_t m = wavelet_length(n);
  for (std::int64_t o = 0; o < outer; ++o) {
    wavelet_rows(
        WaveletSynthesis{low + o * m * lanes, high + o * m * lanes, x + o * n * lanes, n, lanes, low_scale, high_scale},
        n);
  }
}

}  // namespace winnow
