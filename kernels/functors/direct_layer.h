// Convolutions by their definition, one sum a thread: right for every shape on every device, and slow. Linear layers are
// convolutions of images of one pixel. T, of activations, is float or bf16; weights, bias and sums are float. Single source for
// CPU and CUDA; no state.
#pragma once

#include <cstdint>

#include "kernels/functors/image.h"
#include "kernels/layer.h"
#include "kernels/portable.h"

namespace winnow {

// y of x and weights {out, in / groups, kernel_h, kernel_w}; bias may be null.
template <class T>
struct DirectForward {
  ConvShape s;
  const T* x;
  const float *weights, *bias;
  T* y;
  WINNOW_HD void operator()(std::int64_t i) const {
    const ImagePosition at(i, s.out_height(), s.out_width(), s.out);
    const std::int64_t taken = s.in / s.groups, first = at.channel / (s.out / s.groups) * taken;
    const float* filter = weights + at.channel * taken * s.kernel_h * s.kernel_w;
    float sum = 0;
    for (std::int64_t ky = 0; ky < s.kernel_h; ++ky) {
      const std::int64_t row = at.row * s.stride - s.pad + ky;
      if (row < 0 || row >= s.height) continue;
      for (std::int64_t kx = 0; kx < s.kernel_w; ++kx) {
        const std::int64_t col = at.col * s.stride - s.pad + kx;
        if (col < 0 || col >= s.width) continue;
        const T* pixel = x + ((at.n * s.height + row) * s.width + col) * s.x_channels() + first;
        for (std::int64_t c = 0; c < taken; ++c) {
          sum += to_float(pixel[c]) * filter[(c * s.kernel_h + ky) * s.kernel_w + kx];
        }
      }
    }
    y[i] = from_float<T>(bias == nullptr ? sum : sum + bias[at.channel]);
  }
};

// dx of dy and weights.
template <class T>
struct DirectBackwardData {
  ConvShape s;
  const T* dy;
  const float* weights;
  T* dx;
  WINNOW_HD void operator()(std::int64_t i) const {
    const ImagePosition at(i, s.height, s.width, s.in);
    const std::int64_t taken = s.in / s.groups, made = s.out / s.groups, first = at.channel / taken * made;
    const std::int64_t taps = s.kernel_h * s.kernel_w;
    float sum = 0;
    for (std::int64_t ky = 0; ky < s.kernel_h; ++ky) {
      const std::int64_t row = at.row + s.pad - ky;
      if (row < 0 || row % s.stride != 0 || row / s.stride >= s.out_height()) continue;
      for (std::int64_t kx = 0; kx < s.kernel_w; ++kx) {
        const std::int64_t col = at.col + s.pad - kx;
        if (col < 0 || col % s.stride != 0 || col / s.stride >= s.out_width()) continue;
        const T* pixel =
            dy + ((at.n * s.out_height() + row / s.stride) * s.out_width() + col / s.stride) * s.out + first;
        const float* tap = weights + (first * taken + at.channel % taken) * taps + ky * s.kernel_w + kx;
        for (std::int64_t o = 0; o < made; ++o) sum += to_float(pixel[o]) * tap[o * taken * taps];
      }
    }
    dx[i] = from_float<T>(sum);
  }
};

// What each pixel of dy adds to an entry of dweights, for a fold over all pixels of the batch.
template <class T>
struct LoadWeightGradient {
  ConvShape s;
  const T *x, *dy;
  WINNOW_HD float operator()(std::int64_t entry, std::int64_t pixel) const {
    const std::int64_t taken = s.in / s.groups, taps = s.kernel_h * s.kernel_w;
    const std::int64_t o = entry / (taken * taps), c = entry / taps % taken + o / (s.out / s.groups) * taken;
    const std::int64_t out_w = s.out_width(), out_h = s.out_height(), n = pixel / (out_h * out_w);
    const std::int64_t row = pixel / out_w % out_h * s.stride - s.pad + entry / s.kernel_w % s.kernel_h;
    const std::int64_t col = pixel % out_w * s.stride - s.pad + entry % s.kernel_w;
    if (row < 0 || row >= s.height || col < 0 || col >= s.width) return 0;
    return to_float(dy[pixel * s.out + o]) * to_float(x[((n * s.height + row) * s.width + col) * s.x_channels() + c]);
  }
};

// An entry of dweights as one sum, for few pixels.
template <class T>
struct DirectWeightGradient {
  LoadWeightGradient<T> load;
  std::int64_t pixels;
  float* dweights;
  WINNOW_HD void operator()(std::int64_t entry) const {
    float sum = 0;
    for (std::int64_t pixel = 0; pixel < pixels; ++pixel) sum += load(entry, pixel);
    dweights[entry] = sum;
  }
};

}  // namespace winnow
