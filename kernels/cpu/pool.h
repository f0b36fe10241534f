// Pooling over NHWC images. Borrows all memory; every output element is one fixed sum or maximum,
// so the thread count changes nothing.
#pragma once

#include <cstdint>

#include "kernels/functors/pool.h"

namespace winnow::cpu {

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
