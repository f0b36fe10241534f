// Rearrangements of NHWC images without arithmetic. Borrow all memory; any thread count gives the same bytes.
#pragma once

#include <cstdint>

namespace winnow::cpu {

// For each of `count` matrices of `rows` x `cols` elements of type T: out[c][r] = in[r][c].
// Flattening NHWC to the order (C, H, W) is this with H * W rows and C columns.
template <class T>
void transpose(std::int64_t count, std::int64_t rows, std::int64_t cols, const T* in, T* out, int threads);

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

// The parameterless shortcut of ResNets on CIFAR ("option A"): every `stride`th pixel, its channels
// after `front` zeros, and zeros up to `out_channels`. All extents are those of the wide image
// {batch, height, width, channels}.
struct ShortcutShape {
  std::int64_t batch, height, width, channels, stride, out_channels;
  std::int64_t front = (out_channels - channels) / 2;
  std::int64_t out_height() const { return (height + stride - 1) / stride; }
  std::int64_t out_width() const { return (width + stride - 1) / stride; }
};
template <class T>
void shortcut_forward(const ShortcutShape& shape, const T* x, T* y, int threads);
template <class T>
void shortcut_backward(const ShortcutShape& shape, const T* dy, T* dx, int threads);

}  // namespace winnow::cpu
