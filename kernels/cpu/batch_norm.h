// Batch norm over the rows of an array {rows, channels}, fused with a residual sum and a ReLU.
// Borrows all memory. Sums run over chunks fixed by the shape and are folded in a fixed order, so
// the thread count changes nothing.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/portable.h"
#include "kernels/run_state.h"

namespace winnow::cpu {

struct BatchNormShape {
  std::int64_t rows, channels;
  bool running;  // normalise with the running statistics, not with those of the batch
  bool relu;
  float eps, momentum;
  std::size_t scratch_bytes() const;
};

// Absent operands are null: gamma counts as 1, beta and residual as 0.
template <class T>
struct BatchNormForward {
  const T *x, *residual;
  const float *gamma, *beta;
  float *running_mean, *running_var;  // written if update_statistics is fed and the statistics are the batch's
  T* y;
  float *mean, *rstd;
  RunState* run;
};
template <class T>
void batch_norm_forward(const BatchNormShape& shape, const BatchNormForward<T>& io, std::byte* scratch, int threads);

// y is needed only with both relu and a residual; otherwise its sign is computed again from x.
template <class T>
struct BatchNormBackward {
  const T *dy, *x, *y;
  const float *gamma, *beta, *mean, *rstd;
  T *dx, *dresidual;  // dresidual may be null
  float *dgamma, *dbeta;
};
template <class T>
void batch_norm_backward(const BatchNormShape& shape, const BatchNormBackward<T>& io, std::byte* scratch, int threads);

}  // namespace winnow::cpu
