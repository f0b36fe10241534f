#include "kernels/cpu/wavelet.h"

#include <algorithm>

#include "kernels/portable.h"
#include "kernels/threads.h"

namespace winnow::cpu {
namespace {

constexpr std::int64_t kTile = 32;  // channels handled at once

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

// One tile {H, W, lanes}; `x` is transformed in place, `room` has room(h, w) * lanes floats.
void drop_1d(float* x, float* room, std::int64_t h, std::int64_t w, std::int64_t lanes, const BandScales& s) {
  const std::int64_t n0 = h * w, n1 = wavelet_length(n0), n2 = wavelet_length(n1), n3 = wavelet_length(n2);
  float *low1 = room, *high1 = low1 + n1 * lanes, *low2 = high1 + n1 * lanes, *high2 = low2 + n2 * lanes,
        *low3 = high2 + n2 * lanes, *high3 = low3 + n3 * lanes;
  wavelet_analysis(x, low1, high1, 1, n0, lanes);
  wavelet_analysis(low1, low2, high2, 1, n1, lanes);
  wavelet_analysis(low2, low3, high3, 1, n2, lanes);
  wavelet_synthesis(low3, high3, low2, 1, n2, lanes, 1, s.band[2]);
  wavelet_synthesis(low2, high2, low1, 1, n1, lanes, 1, s.band[1]);
  wavelet_synthesis(low1, high1, x, 1, n0, lanes, 1, s.band[0]);
}

void drop_2d(float* x, float* room, std::int64_t h, std::int64_t w, std::int64_t lanes, const BandScales& s) {
  const std::int64_t hm = wavelet_length(h), wm = wavelet_length(w);
  float *low = room, *high = low + h * wm * lanes, *ll = high + h * wm * lanes, *lh = ll + hm * wm * lanes,
        *hl = lh + hm * wm * lanes, *hh = hl + hm * wm * lanes;
  wavelet_analysis(x, low, high, h, w, lanes);      // along the width
  wavelet_analysis(low, ll, lh, 1, h, wm * lanes);  // along the height
  wavelet_analysis(high, hl, hh, 1, h, wm * lanes);
  wavelet_synthesis(ll, lh, low, 1, h, wm * lanes, 1, s.band[0]);
  wavelet_synthesis(hl, hh, high, 1, h, wm * lanes, s.band[1], s.band[2]);
  wavelet_synthesis(low, high, x, h, w, lanes, 1, 1);
}

std::size_t tile_floats(const WaveletShape& s) {
  const std::int64_t n1 = wavelet_length(s.height * s.width), n2 = wavelet_length(n1);
  const std::int64_t hm = wavelet_length(s.height), wm = wavelet_length(s.width);
  const std::int64_t levels = s.flat ? 2 * (n1 + n2 + wavelet_length(n2)) : 2 * s.height * wm + 4 * hm * wm;
  return static_cast<std::size_t>((s.height * s.width + levels) * kTile);
}

template <class T>
void drop_tile(const WaveletShape& s, const BandScales& scales, const T* x, T* y, std::int64_t lanes, float* room) {
  const std::int64_t area = s.height * s.width;
  for (std::int64_t i = 0; i < area; ++i) {
    for (std::int64_t c = 0; c < lanes; ++c) room[i * lanes + c] = to_float(x[i * s.channels + c]);
  }
  (s.flat ? drop_1d : drop_2d)(room, room + area * lanes, s.height, s.width, lanes, scales);
  for (std::int64_t i = 0; i < area; ++i) {
    for (std::int64_t c = 0; c < lanes; ++c) y[i * s.channels + c] = from_float<T>(room[i * lanes + c]);
  }
}

}  // namespace

void wavelet_analysis(const float* x, float* low, float* high, std::int64_t outer, std::int64_t n, std::int64_t lanes) {
  const std::int64_t m = wavelet_length(n);
  for (std::int64_t o = 0; o < outer; ++o) {
    wavelet_rows(WaveletAnalysis{x + o * n * lanes, low + o * m * lanes, high + o * m * lanes, n, lanes}, m);
  }
}

void wavelet_synthesis(const float* low, const float* high, float* x, std::int64_t outer, std::int64_t n,
                       std::int64_t lanes, float low_scale, float high_scale) {
  const std::int64_t m = wavelet_length(n);
  for (std::int64_t o = 0; o < outer; ++o) {
    wavelet_rows(
        WaveletSynthesis{low + o * m * lanes, high + o * m * lanes, x + o * n * lanes, n, lanes, low_scale, high_scale},
        n);
  }
}

std::size_t WaveletShape::scratch_bytes(int threads) const {
  return static_cast<std::size_t>(threads) * tile_floats(*this) * sizeof(float);
}

template <class T>
void wavelet_dropout(const WaveletShape& s, const BandScales& scales, const T* x, T* y, const Exec& exec) {
  const std::int64_t tiles = (s.channels + kTile - 1) / kTile;
  auto* rooms = reinterpret_cast<float*>(exec.scratch);
  share_out(exec.threads, s.batch * tiles, [&](int thread, std::int64_t begin, std::int64_t end) {
    float* room = rooms + static_cast<std::size_t>(thread) * tile_floats(s);
    for (std::int64_t job = begin; job < end; ++job) {
      const std::int64_t first = job % tiles * kTile, offset = job / tiles * s.height * s.width * s.channels + first;
      drop_tile(s, scales, x + offset, y + offset, std::min(kTile, s.channels - first), room);
    }
  });
}
template void wavelet_dropout(const WaveletShape&, const BandScales&, const float*, float*, const Exec&);
template void wavelet_dropout(const WaveletShape&, const BandScales&, const bf16*, bf16*, const Exec&);

}  // namespace winnow::cpu
