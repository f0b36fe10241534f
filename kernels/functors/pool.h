// Pooling over NHWC images, one element of the result at a time, channels next to each other; T is float or bf16, arithmetic is
// float. Single source for CPU and CUDA; no state.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/functors/image.h"
#include "kernels/portable.h"

namespace winnow {

struct PoolShape {
  std::int64_t batch, height, width, channels, kernel_h, kernel_w, stride, pad;
  WINNOW_HD std::int64_t out_height() const { return (height + 2 * pad - kernel_h) / stride + 1; }
  WINNOW_HD std::int64_t out_width() const { return (width + 2 * pad - kernel_w) / stride + 1; }

  // Positions first .. last - 1 of one axis: of the image that a window sees, or of the windows that see a position.
  struct Range {
    std::int64_t first, last;
  };
  WINNOW_HD Range inside(std::int64_t window, std::int64_t extent, std::int64_t kernel) const {
    const std::int64_t start = window * stride - pad, end = start + kernel;
    return {start > 0 ? start : 0, end < extent ? end : extent};
  }
  WINNOW_HD Range covering(std::int64_t at, std::int64_t windows, std::int64_t kernel) const {
    const std::int64_t start = at + pad - kernel + stride, last = (at + pad) / stride + 1;
    return {start > 0 ? start / stride : 0, last < windows ? last : windows};
  }
};

// `winner` is the position of the maximum in its window; the first one wins a tie, a NaN wins, so that it is seen.
template <class T>
struct MaxPool {
  PoolShape s;
  const T* x;
  T* y;
  std::uint8_t* winner;
  WINNOW_HD void operator()(std::int64_t i) const {
    const ImagePosition at(i, s.out_height(), s.out_width(), s.channels);
    const PoolShape::Range rows = s.inside(at.row, s.height, s.kernel_h), cols = s.inside(at.col, s.width, s.kernel_w);
    const std::int64_t top = at.row * s.stride - s.pad, start = at.col * s.stride - s.pad;
    float best = -INFINITY;
    // The first place inside wins where all values are minus infinity.
    std::int64_t place = (rows.first - top) * s.kernel_w + (cols.first - start);
    for (std::int64_t h = rows.first; h < rows.last; ++h) {
      for (std::int64_t w = cols.first; w < cols.last; ++w) {
        const float value = to_float(x[((at.n * s.height + h) * s.width + w) * s.channels + at.channel]);
        if (!(value > best || value != value)) continue;
        best = value;
        place = (h - top) * s.kernel_w + (w - start);
      }
    }
    y[i] = from_float<T>(best);
    winner[i] = static_cast<std::uint8_t>(place);
  }
};

// By element of dx: the sum of what it won.
template <class T>
struct MaxPoolBackward {
  PoolShape s;
  const T* dy;
  const std::uint8_t* winner;
  T* dx;
  WINNOW_HD void operator()(std::int64_t i) const {
    const ImagePosition at(i, s.height, s.width, s.channels);
    const PoolShape::Range rows = s.covering(at.row, s.out_height(), s.kernel_h),
                           cols = s.covering(at.col, s.out_width(), s.kernel_w);
    float sum = 0;
    for (std::int64_t h = rows.first; h < rows.last; ++h) {
      for (std::int64_t w = cols.first; w < cols.last; ++w) {
        const std::int64_t from = ((at.n * s.out_height() + h) * s.out_width() + w) * s.channels + at.channel;
        const std::int64_t place = (at.row - h * s.stride + s.pad) * s.kernel_w + (at.col - w * s.stride + s.pad);
        if (winner[from] == place) sum += to_float(dy[from]);
      }
    }
    dx[i] = from_float<T>(sum);
  }
};

// The mean over all positions of a window, padding counted as zeros.
template <class T>
struct AvgPool {
  PoolShape s;
  const T* x;
  T* y;
  WINNOW_HD void operator()(std::int64_t i) const {
    const ImagePosition at(i, s.out_height(), s.out_width(), s.channels);
    const PoolShape::Range rows = s.inside(at.row, s.height, s.kernel_h), cols = s.inside(at.col, s.width, s.kernel_w);
    float sum = 0;
    for (std::int64_t h = rows.first; h < rows.last; ++h) {
      for (std::int64_t w = cols.first; w < cols.last; ++w) {
        sum += to_float(x[((at.n * s.height + h) * s.width + w) * s.channels + at.channel]);
      }
    }
    y[i] = from_float<T>(sum * (1.0f / static_cast<float>(s.kernel_h * s.kernel_w)));
  }
};

template <class T>
struct AvgPoolBackward {
  PoolShape s;
  const T* dy;
  T* dx;
  WINNOW_HD void operator()(std::int64_t i) const {
    const ImagePosition at(i, s.height, s.width, s.channels);
    const PoolShape::Range rows = s.covering(at.row, s.out_height(), s.kernel_h),
                           cols = s.covering(at.col, s.out_width(), s.kernel_w);
    float sum = 0;
    for (std::int64_t h = rows.first; h < rows.last; ++h) {
      for (std::int64_t w = cols.first; w < cols.last; ++w) {
        sum += to_float(dy[((at.n * s.out_height() + h) * s.out_width() + w) * s.channels + at.channel]);
      }
    }
    dx[i] = from_float<T>(sum * (1.0f / static_cast<float>(s.kernel_h * s.kernel_w)));
  }
};

}  // namespace winnow
