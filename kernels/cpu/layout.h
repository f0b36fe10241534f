// Rearrangements of NHWC images without arithmetic. Borrow all memory; any thread count gives the same bytes.
#pragma once

#include <cstdint>

namespace winnow::cpu {

// For each of `count` matrices {rows, cols}: out[c][r] = in[r][c].
void transpose(std::int64_t count, std::int64_t rows, std::int64_t cols, const float* in, float* out, int threads);

// Convolution weights {rows, cols, taps} to planes {taps, rows, cols} with the taps in reverse: the
// weights turned by half a turn, as the gradient of the input needs them.
void turn_weights(std::int64_t rows, std::int64_t cols, std::int64_t taps, const float* in, float* out, int threads);

// Images with zeros around them, copied so that loops need no borders.
struct PaddedImage {
  std::int64_t height, width, channels, pad;  // of the image without its border
  std::int64_t row() const { return (width + 2 * pad) * channels; }
  std::int64_t elements() const { return (height + 2 * pad) * row(); }

  // Writes the inside only; `to` was all zeros once.
  template <class T>
  void copy(const T* image, T* to) const;
};

}  // namespace winnow::cpu
