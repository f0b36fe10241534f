// Normalisation of a row by its own mean and variance, and the reverse; T is float or bf16, arithmetic is float. Single
// source for CPU and CUDA.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/functors/row.h"

namespace winnow {

// y = (x - mean) * rstd * gamma + beta; mean and rstd {rows} are kept for the reverse. May run in place.
template <class T>
struct LayerNormRow {
  const T* x;
  const float *gamma, *beta;
  T* y;
  float *mean, *rstd;
  std::int64_t cols;
  const double* eps;
  WINNOW_HD void operator()(std::int64_t row) const {
    const T* from = x + row * cols;
    T* to = y + row * cols;
    const auto n = static_cast<float>(cols);
    const float centre = sum_row(cols, [&](std::int64_t i) { return to_float(from[i]); }) / n;
    const float variance = sum_row(cols,
                                   [&](std::int64_t i) {
                                     const float d = to_float(from[i]) - centre;
                                     return d * d;
                                   }) /
                           n;
    const float scale = 1.0f / std::sqrt(variance + static_cast<float>(*eps));
    for (std::int64_t i = 0; i < cols; ++i) {
      to[i] = from_float<T>((to_float(from[i]) - centre) * scale * gamma[i] + beta[i]);
    }
    mean[row] = centre;
    rstd[row] = scale;
  }
};

// With g = dy * gamma and h = (x - mean) * rstd: dx = rstd (g - mean(g) - h mean(g h)). May run in place of dy.
template <class T>
struct LayerNormBackwardRow {
  const T *dy, *x;
  const float *gamma, *mean, *rstd;
  T* dx;
  std::int64_t cols;
  WINNOW_HD void operator()(std::int64_t row) const {
    const T *grad = dy + row * cols, *from = x + row * cols;
    const float centre = mean[row], scale = rstd[row];
    const auto n = static_cast<float>(cols);
    const auto g = [&](std::int64_t i) { return to_float(grad[i]) * gamma[i]; };
    const auto h = [&](std::int64_t i) { return (to_float(from[i]) - centre) * scale; };
    const float mean_g = sum_row(cols, g) / n;
    const float mean_gh = sum_row(cols, [&](std::int64_t i) { return g(i) * h(i); }) / n;
    for (std::int64_t i = 0; i < cols; ++i) {
      dx[row * cols + i] = from_float<T>(scale * (g(i) - mean_g - h(i) * mean_gh));
    }
  }
};

// Sums of dy * h and of dy over the rows of one chunk, to partial {chunks, 2, cols}.
template <class T>
struct LayerNormGradientChunk {
  const T *dy, *x;
  const float *mean, *rstd;
  float* partial;
  std::int64_t rows, cols, chunk_rows;
  WINNOW_HD void operator()(std::int64_t chunk) const {
    float *dgamma = partial + 2 * chunk * cols, *dbeta = dgamma + cols;
    for (std::int64_t i = 0; i < cols; ++i) dgamma[i] = dbeta[i] = 0;
    const std::int64_t first = chunk * chunk_rows, last = first + chunk_rows < rows ? first + chunk_rows : rows;
    for (std::int64_t row = first; row < last; ++row) {
      for (std::int64_t i = 0; i < cols; ++i) {
        const float grad = to_float(dy[row * cols + i]);
        dgamma[i] += grad * ((to_float(x[row * cols + i]) - mean[row]) * rstd[row]);
        dbeta[i] += grad;
      }
    }
  }
};

// By column: the chunks' sums, in their order.
struct LayerNormGradientFold {
  const float* partial;
  float *dgamma, *dbeta;
  std::int64_t chunks, cols;
  WINNOW_HD void operator()(std::int64_t i) const {
    float gamma_sum = 0, beta_sum = 0;
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
      gamma_sum += partial[2 * chunk * cols + i];
      beta_sum += partial[(2 * chunk + 1) * cols + i];
    }
    dgamma[i] = gamma_sum;
    dbeta[i] = beta_sum;
  }
};

}  // namespace winnow
