// Moving elements without changing them: columns of rows, axes in another order, ResNet's shortcut. Single source for CPU and
// CUDA.
#pragma once

#include <cstdint>

#include "kernels/portable.h"

namespace winnow {

// By row: `cols` neighbouring elements from one array of rows to another.
template <class T>
struct CopyColumns {
  const T* x;
  T* y;
  std::int64_t x_width, x_column, y_width, y_column, cols;
  WINNOW_HD void operator()(std::int64_t row) const {
    const T* from = x + row * x_width + x_column;
    T* to = y + row * y_width + y_column;
    for (std::int64_t i = 0; i < cols; ++i) to[i] = from[i];
  }
};

// By row of the output (its last axis): axes in another order. Of up to six axes; `extent` of the output, `stride` in x.
template <class T>
struct PermuteRow {
  const T* x;
  T* y;
  int rank;
  std::int64_t extent[6], stride[6];
  WINNOW_HD void operator()(std::int64_t row) const {
    const std::int64_t cols = extent[rank - 1], step = stride[rank - 1];
    std::int64_t rest = row, at = 0;
    for (int axis = rank - 2; axis >= 0; --axis) {
      at += rest % extent[axis] * stride[axis];
      rest /= extent[axis];
    }
    for (std::int64_t i = 0; i < cols; ++i) y[row * cols + i] = x[at + i * step];
  }
};

// By row of the output: matrices {rows, cols}, turned. Flattening NHWC to (C, H, W) is this with H * W rows and C columns.
template <class T>
struct TransposeRow {
  const T* x;
  T* y;
  std::int64_t rows, cols;
  WINNOW_HD void operator()(std::int64_t row) const {
    const T* from = x + row / cols * rows * cols + row % cols;
    T* to = y + row * rows;
    for (std::int64_t r = 0; r < rows; ++r) to[r] = from[r * cols];
  }
};

// The parameterless shortcut of ResNets on CIFAR ("option A"): every `stride`th pixel, its channels after `front` zeros, and
// zeros up to `out_channels`. All extents are those of the wide image {batch, height, width, channels}.
struct ShortcutShape {
  std::int64_t batch, height, width, channels, stride, out_channels, front;
  WINNOW_HD std::int64_t out_height() const { return (height + stride - 1) / stride; }
  WINNOW_HD std::int64_t out_width() const { return (width + stride - 1) / stride; }
};

// By line of the narrow images.
template <class T>
struct ShortcutLine {
  ShortcutShape s;
  const T* x;
  T* y;
  WINNOW_HD void operator()(std::int64_t line) const {
    const std::int64_t n = line / s.out_height(), i = line % s.out_height(), behind = s.front + s.channels;
    for (std::int64_t j = 0; j < s.out_width(); ++j) {
      const T* from = x + ((n * s.height + i * s.stride) * s.width + j * s.stride) * s.channels;
      T* to = y + (line * s.out_width() + j) * s.out_channels;
      for (std::int64_t c = 0; c < s.front; ++c) to[c] = T{};
      for (std::int64_t c = 0; c < s.channels; ++c) to[s.front + c] = from[c];
      for (std::int64_t c = behind; c < s.out_channels; ++c) to[c] = T{};
    }
  }
};

// By line of the wide images: the gradient, zero for pixels that were left out.
template <class T>
struct ShortcutBackwardLine {
  ShortcutShape s;
  const T* dy;
  T* dx;
  WINNOW_HD void operator()(std::int64_t line) const {
    const std::int64_t n = line / s.height, i = line % s.height;
    for (std::int64_t j = 0; j < s.width; ++j) {
      const std::int64_t at = (n * s.out_height() + i / s.stride) * s.out_width() + j / s.stride;
      const bool taken = i % s.stride == 0 && j % s.stride == 0;
      T* to = dx + (line * s.width + j) * s.channels;
      for (std::int64_t c = 0; c < s.channels; ++c) to[c] = taken ? dy[at * s.out_channels + s.front + c] : T{};
    }
  }
};

}  // namespace winnow
