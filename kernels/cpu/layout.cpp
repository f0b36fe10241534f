#include "kernels/cpu/layout.h"

#include <algorithm>

#include "kernels/portable.h"
#include "kernels/threads.h"

namespace winnow::cpu {

template <class T>
void transpose(std::int64_t count, std::int64_t rows, std::int64_t cols, const T* in, T* out, int threads) {
  share_loop(threads, count, [&](std::int64_t i) {
    const T* from = in + i * rows * cols;
    T* to = out + i * rows * cols;
    if (rows == 1 || cols == 1) {
      std::copy_n(from, rows * cols, to);
      return;
    }
    for (std::int64_t c = 0; c < cols; ++c) {
      for (std::int64_t r = 0; r < rows; ++r) to[c * rows + r] = from[r * cols + c];
    }
  });
}

void turn_weights(std::int64_t rows, std::int64_t cols, std::int64_t taps, const float* in, float* out, int threads) {
  share_loop(threads, rows, [&](std::int64_t r) {
    for (std::int64_t t = 0; t < taps; ++t) {
      const float* from = in + r * cols * taps + t;
      float* to = out + ((taps - 1 - t) * rows + r) * cols;
      for (std::int64_t c = 0; c < cols; ++c) to[c] = from[c * taps];
    }
  });
}

template <class T>
void PaddedImage::copy(const T* image, T* to) const {
  for (std::int64_t y = 0; y < height; ++y) {
    std::copy_n(image + y * width * channels, width * channels, to + (y + pad) * row() + pad * channels);
  }
}
template void PaddedImage::copy(const float*, float*) const;
template void PaddedImage::copy(const bf16*, bf16*) const;

template <class T>
void shortcut_forward(const ShortcutShape& s, const T* x, T* y, int threads) {
  const std::int64_t out_h = s.out_height(), out_w = s.out_width();
  share_loop(threads, s.batch * out_h, [&](std::int64_t row) {
    const std::int64_t n = row / out_h, i = row % out_h;
    for (std::int64_t j = 0; j < out_w; ++j) {
      const T* from = x + ((n * s.height + i * s.stride) * s.width + j * s.stride) * s.channels;
      T* to = std::fill_n(y + (row * out_w + j) * s.out_channels, s.front, T{});
      to = std::copy_n(from, s.channels, to);
      std::fill_n(to, s.out_channels - s.channels - s.front, T{});
    }
  });
}

template <class T>
void shortcut_backward(const ShortcutShape& s, const T* dy, T* dx, int threads) {
  const std::int64_t out_h = s.out_height(), out_w = s.out_width();
  share_loop(threads, s.batch * s.height, [&](std::int64_t row) {
    const std::int64_t n = row / s.height, i = row % s.height;
    T* to = dx + row * s.width * s.channels;
    if (i % s.stride != 0) {
      std::fill_n(to, s.width * s.channels, T{});
      return;
    }
    for (std::int64_t j = 0; j < s.width; ++j) {
      const T* from = dy + ((n * out_h + i / s.stride) * out_w + j / s.stride) * s.out_channels;
      to = j % s.stride == 0 ? std::copy_n(from + s.front, s.channels, to) : std::fill_n(to, s.channels, T{});
    }
  });
}

#define WINNOW_LAYOUT(T)                                                                \
  template void transpose(std::int64_t, std::int64_t, std::int64_t, const T*, T*, int); \
  template void shortcut_forward(const ShortcutShape&, const T*, T*, int);              \
  template void shortcut_backward(const ShortcutShape&, const T*, T*, int);
WINNOW_LAYOUT(float)
WINNOW_LAYOUT(bf16)
#undef WINNOW_LAYOUT

}  // namespace winnow::cpu
