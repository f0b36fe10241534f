// Pooling over NHWC images. Borrows all memory; every output element is one fixed sum or maximum,
// so the thread count changes nothing.
#pragma once

#include <cstdint>

#include "kernels/portable.h"

namespace winnow::cpu {

struct PoolShape {
  std::int64_t batch, height, width, channels, kernel_h, kernel_w, stride, pad;
  std::int64_t out_height() const { return (height + 2 * pad - kernel_h) / stride + 1; }
  std::int64_t out_width() const { return (width + 2 * pad - kernel_w) / stride + 1; }
};

// `winner` is the position of the maximum in its window, row by row; the first one wins a tie. Padding never wins.
template <class T>
void max_pool_forward(const PoolShape& shape, const T* x, T* y, std::uint8_t* winner, int threads);
template <class T>
void max_pool_backward(const PoolShape& shape, const T* dy, const std::uint8_t* winner, T* dx, int threads);

// The mean over all kernel_h * kernel_w positions, padding counted as zeros.
template <class T>
void avg_pool_forward(const PoolShape& shape, const T* x, T* y, int threads);
template <class T>
void avg_pool_backward(const PoolShape& shape, const T* dy, T* dx, int threads);

}  // namespace winnow::cpu
