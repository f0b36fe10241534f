// Cross-entropy to the class probabilities of another network in two steps: each row's loss and gradient with respect to
// the logits, and their sum; and what is made of that network's logits before. T is float or bf16, arithmetic is float.
// Single source for CPU and CUDA.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/portable.h"
#include "kernels/rng.h"
#include "kernels/run_state.h"

namespace winnow {

template <class T>
WINNOW_HD float largest_logit(const T* x, std::int64_t count) {
  float top = to_float(x[0]);
  for (std::int64_t k = 1; k < count; ++k) top = to_float(x[k]) > top ? to_float(x[k]) : top;
  return top;
}
template <class T>
WINNOW_HD float sum_of_exp(const T* x, std::int64_t count, float top) {
  float sum = 0.0f;
  for (std::int64_t k = 0; k < count; ++k) sum += expf(to_float(x[k]) - top);
  return sum;
}

template <class T>
struct SoftCrossEntropyRow {
  const T* logits;
  const T* teacher;  // its logits
  std::int64_t classes;
  float scale;  // of the gradient: one over the rows that the mean is of
  T* dlogits;
  float* loss;  // by row, not scaled

  WINNOW_HD void operator()(std::int64_t row) const {
    const T *x = logits + row * classes, *t = teacher + row * classes;
    T* dx = dlogits + row * classes;
    const float top = largest_logit(x, classes), top_t = largest_logit(t, classes);
    const float sum = sum_of_exp(x, classes, top), inverse = 1.0f / sum;
    const float inverse_t = 1.0f / sum_of_exp(t, classes, top_t), log_sum = logf(sum);
    float of_row = 0.0f;
    for (std::int64_t k = 0; k < classes; ++k) {
      const float shifted = to_float(x[k]) - top, target = expf(to_float(t[k]) - top_t) * inverse_t;
      of_row += target * (log_sum - shifted);
      dx[k] = from_float<T>((expf(shifted) * inverse - target) * scale);
    }
    loss[row] = of_row;
  }
};

template <class T>
struct MaxProbabilityRow {
  const T* logits;
  std::int64_t classes;
  float* y;
  WINNOW_HD void operator()(std::int64_t row) const {
    const T* x = logits + row * classes;
    y[row] = 1.0f / sum_of_exp(x, classes, largest_logit(x, classes));
  }
};

// A shuffle by Fisher and Yates of all but the first of the largest entries, NaN counting as the largest. Its draws are
// keyed by the step and by the place of the row in the whole batch, whatever rank holds it.
template <class T>
struct ShuffleOthersRow {
  const T* x;
  T* y;
  std::int64_t classes;
  const RunFeed* feed;
  std::uint32_t stream;

  WINNOW_HD void operator()(std::int64_t row) const {
    const T* from = x + row * classes;
    T* to = y + row * classes;
    std::int64_t top = 0;
    for (std::int64_t k = 0; k < classes; ++k) {
      const float best = to_float(from[top]);
      if (best == best && !(to_float(from[k]) <= best)) top = k;
      to[k] = from[k];
    }
    const RngKey key{feed->seed, stream, feed->step};
    const auto first = static_cast<std::uint64_t>((feed->first_row + row) * classes);
    const auto place = [&](std::int64_t other) { return other < top ? other : other + 1; };
    for (std::int64_t left = classes - 1; left > 1; --left) {
      const auto drawn = below(key, first + static_cast<std::uint64_t>(left), static_cast<std::uint64_t>(left));
      const std::int64_t a = place(left - 1), b = place(static_cast<std::int64_t>(drawn));
      const T moved = to[a];
      to[a] = to[b];
      to[b] = moved;
    }
  }
};

struct LoadRowLoss {
  const float* loss;
  WINNOW_HD float operator()(std::int64_t, std::int64_t row) const { return loss[row]; }
};
struct StoreScaledLoss {
  float scale;
  float* loss;
  RunState* run;
  WINNOW_HD void operator()(std::int64_t, float sum) const {
    *loss = sum * scale;
    if (not_finite(*loss)) mark_not_finite(run);
  }
};

}  // namespace winnow
