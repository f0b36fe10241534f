// One row of softmax cross-entropy: loss, gradient with respect to the logits and the rank of the
// true class. T is float or bf16. A row whose label is negative does not count: loss 0, gradient 0, rank -1.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/portable.h"

namespace winnow {

template <class T>
struct SoftmaxCrossEntropyRow {
  const T* logits;
  const std::int32_t* labels;
  std::int64_t classes;
  float smoothing;
  float inverse_rows;  // 1 / (rows the mean is over)
  T* dlogits;
  float* loss;         // by row, not divided
  std::int32_t* rank;  // by row: classes that come before the true one; ties go to the lower index

  WINNOW_HD void operator()(std::int64_t row) const {
    const T* x = logits + row * classes;
    T* dx = dlogits + row * classes;
    const std::int64_t label = labels[row];
    if (label < 0 || label >= classes) {
      for (std::int64_t k = 0; k < classes; ++k) dx[k] = from_float<T>(0.0f);
      loss[row] = 0.0f;
      rank[row] = -1;
      return;
    }
    const float truth = to_float(x[label]);
    float top = to_float(x[0]);
    std::int32_t before = 0;
    float sum_shifted = 0.0f;
    for (std::int64_t k = 1; k < classes; ++k) top = to_float(x[k]) > top ? to_float(x[k]) : top;
    for (std::int64_t k = 0; k < classes; ++k) {
      const float value = to_float(x[k]);
      // A class comes after the true one only if it compares so: NaN makes every class come before.
      const bool after = value < truth || (value == truth && k > label);
      before += k != label && !after ? 1 : 0;
      sum_shifted += value - top;
    }
    float total = 0.0f;
    for (std::int64_t k = 0; k < classes; ++k) total += expf(to_float(x[k]) - top);
    const float log_total = logf(total), flat = smoothing / static_cast<float>(classes);
    loss[row] = log_total - (1.0f - smoothing) * (truth - top) - flat * sum_shifted;
    rank[row] = before;
    const float inverse_total = 1.0f / total;
    for (std::int64_t k = 0; k < classes; ++k) {
      const float target = flat + (k == label ? 1.0f - smoothing : 0.0f);
      dx[k] = from_float<T>((expf(to_float(x[k]) - top) * inverse_total - target) * inverse_rows);
    }
  }
};

}  // namespace winnow
