// Softmax cross-entropy in three steps: how many rows count, each row's loss, gradient with respect to
// the logits and rank of the true class, and their sums. T is float or bf16. A row whose label is
// negative does not count: loss 0, gradient 0, rank -1. Single source for CPU and CUDA.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/portable.h"
#include "kernels/run_state.h"

namespace winnow {

// The rows the mean is over: as given, or those that count; at least one.
struct MeanRows {
  float count, inverse;
};
struct LoadCounted {
  const std::int32_t* labels;
  WINNOW_HD std::int32_t operator()(std::int64_t, std::int64_t row) const { return labels[row] >= 0 ? 1 : 0; }
};
struct StoreMeanRows {
  std::int64_t given;  // 0: those that count
  MeanRows* mean;
  WINNOW_HD void operator()(std::int64_t, std::int32_t counted) const {
    const std::int64_t rows = given > 0 ? given : counted > 1 ? counted : 1;
    *mean = {static_cast<float>(rows), 1.0f / static_cast<float>(rows)};
  }
};

template <class T>
struct SoftmaxCrossEntropyRow {
  const T* logits;
  const std::int32_t* labels;
  const float* weights;  // of the rows' losses; null: 1
  std::int64_t classes;
  const double* label_smoothing;
  const MeanRows* mean;
  T* dlogits;
  float* loss;         // by row, not divided
  std::int32_t* rank;  // by row: classes that come before the true one; ties go to the lower index
  RunState* run;       // told of a label that is no class

  WINNOW_HD void operator()(std::int64_t row) const {
    const T* x = logits + row * classes;
    T* dx = dlogits + row * classes;
    const std::int64_t label = labels[row];
    if (label >= classes) mark_bad_label(run, row, labels[row]);
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
    const float smoothing = static_cast<float>(*label_smoothing);
    float total = 0.0f;
    for (std::int64_t k = 0; k < classes; ++k) total += expf(to_float(x[k]) - top);
    const float log_total = logf(total), flat = smoothing / static_cast<float>(classes);
    const float of_row = log_total - (1.0f - smoothing) * (truth - top) - flat * sum_shifted;
    loss[row] = weights == nullptr ? of_row : weights[row] * of_row;
    rank[row] = before;
    const float inverse_total = 1.0f / total, scale = weights == nullptr ? mean->inverse : weights[row] * mean->inverse;
    for (std::int64_t k = 0; k < classes; ++k) {
      const float target = flat + (k == label ? 1.0f - smoothing : 0.0f);
      dx[k] = from_float<T>((expf(to_float(x[k]) - top) * inverse_total - target) * scale);
    }
  }
};

// Of all rows: the loss, and how many have the true class first, or among the first five.
struct LossSums {
  float loss = 0;
  std::int32_t correct = 0, correct5 = 0;
};
struct LoadLoss {
  const float* loss;
  const std::int32_t* rank;
  WINNOW_HD LossSums operator()(std::int64_t, std::int64_t row) const {
    return {loss[row], rank[row] == 0 ? 1 : 0, rank[row] >= 0 && rank[row] < 5 ? 1 : 0};
  }
};
struct AddLosses {
  WINNOW_HD LossSums operator()(LossSums a, LossSums b) const {
    return {a.loss + b.loss, a.correct + b.correct, a.correct5 + b.correct5};
  }
};
struct StoreLoss {
  const MeanRows* mean;
  float* loss;
  std::int32_t *correct, *correct5;
  RunState* run;
  WINNOW_HD void operator()(std::int64_t, LossSums sums) const {
    *loss = sums.loss / mean->count;
    *correct = sums.correct;
    *correct5 = sums.correct5;
    if (not_finite(*loss)) mark_not_finite(run);
  }
};

}  // namespace winnow
