// Products of many small matrices, one element of the result at a time; T is float or bf16, sums are float and run along the
// inner extent, as on the CPU. Single source for CPU and CUDA.
#pragma once

#include <cstdint>

#include "kernels/portable.h"

namespace winnow {

// c {count, rows, cols} = scale * op(a) op(b); a transposed operand is {count, inner, rows} or {count, cols, inner}.
template <class T>
struct MatmulElement {
  const T *a, *b;
  T* c;
  std::int64_t rows, inner, cols;
  bool transpose_a, transpose_b;
  const double* scale;
  float factor = 0;  // set by loaded()

  WINNOW_HD MatmulElement loaded() const {
    MatmulElement now = *this;
    now.factor = static_cast<float>(*scale);
    return now;
  }
  WINNOW_HD void operator()(std::int64_t i) const {
    const std::int64_t product = i / (rows * cols), row = i / cols % rows, col = i % cols;
    const T* left = a + product * rows * inner + row * (transpose_a ? 1 : inner);
    const T* right = b + product * inner * cols + col * (transpose_b ? inner : 1);
    const std::int64_t left_step = transpose_a ? rows : 1, right_step = transpose_b ? 1 : cols;
    float sum = 0;
    for (std::int64_t k = 0; k < inner; ++k) sum += to_float(left[k * left_step]) * to_float(right[k * right_step]);
    c[i] = from_float<T>(sum * factor);
  }
};

}  // namespace winnow
