// The gradient of a bias where no library call gives it: dy {rows, out} summed over its rows, in the order of
// kernels/functors/fold.h. Queues on exec.stream. Any thread.
#pragma once

#include <cstddef>

#include "kernels/exec.h"
#include "kernels/fold_rows.h"
#include "kernels/portable.h"

namespace winnow::cuda::vendor {

inline std::size_t bias_gradient_bytes(std::int64_t rows, std::int64_t out) {
  return sizeof(float) * static_cast<std::size_t>(fold_partials(out, rows));
}

// `partial` has bias_gradient_bytes(rows, out).
template <class T>
void sum_bias_gradient(const Exec& exec, std::int64_t rows, std::int64_t out, const void* dy, void* dbias,
                       std::byte* partial) {
  cuda::fold_rows(exec, out, rows, 0.0f, LoadColumn<T>{static_cast<const T*>(dy), out}, Sum{},
                  StoreRow<float>{static_cast<float*>(dbias)}, reinterpret_cast<float*>(partial));
}

}  // namespace winnow::cuda::vendor
