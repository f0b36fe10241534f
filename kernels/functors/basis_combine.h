// Filters as linear combinations of basis elements: rows of a {rows, n} matrix times a small {n, n}
// matrix, and the gradient of that small matrix. Single source for CPU and CUDA; no state.
#pragma once

#include <cstdint>

#include "kernels/portable.h"

namespace winnow {

inline constexpr std::int64_t kBasisChunk = 256;  // rows whose gradient is summed in one piece

// One row of y = x F, or of y = x F^T. The terms are added in the order of x, so that F = I gives x exactly.
struct BasisCombine {
  const float *x, *f;
  float* y;
  std::int64_t n;
  bool transposed;
  WINNOW_HD void operator()(std::int64_t row) const {
    const float* in = x + row * n;
    float* out = y + row * n;
    for (std::int64_t m = 0; m < n; ++m) out[m] = 0;
    for (std::int64_t k = 0; k < n; ++k) {
      for (std::int64_t m = 0; m < n; ++m) out[m] += in[k] * (transposed ? f[m * n + k] : f[k * n + m]);
    }
  }
};

// One chunk of rows of dF = x^T g.
struct BasisGradient {
  const float *x, *g;
  float* partial;  // {chunks, n, n}
  std::int64_t rows, n;
  WINNOW_HD void operator()(std::int64_t chunk) const {
    float* sum = partial + chunk * n * n;
    for (std::int64_t i = 0; i < n * n; ++i) sum[i] = 0;
    const std::int64_t end = rows < (chunk + 1) * kBasisChunk ? rows : (chunk + 1) * kBasisChunk;
    for (std::int64_t row = chunk * kBasisChunk; row < end; ++row) {
      for (std::int64_t k = 0; k < n; ++k) {
        for (std::int64_t m = 0; m < n; ++m) sum[k * n + m] += x[row * n + k] * g[row * n + m];
      }
    }
  }
};

// One element of dF: the chunks' sums, added in the order of the chunks.
struct BasisGradientSum {
  const float* partial;
  float* sum;
  std::int64_t chunks, elements;
  WINNOW_HD void operator()(std::int64_t i) const {
    float total = partial[i];
    for (std::int64_t chunk = 1; chunk < chunks; ++chunk) total += partial[chunk * elements + i];
    sum[i] = total;
  }
};

}  // namespace winnow
