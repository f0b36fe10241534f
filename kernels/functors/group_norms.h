// Norms of groups of weights and what follows from them: entry i of a tensor belongs to group (i / inner) mod groups, so
// that rows, columns, channels and whole tensors are groups. Single source for CPU and CUDA.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/portable.h"
#include "kernels/run_state.h"

namespace winnow {

struct Grouping {
  std::int64_t groups, inner;
  WINNOW_HD std::int64_t group_of(std::int64_t i) const { return i / inner % groups; }
  // Entry `col` of a group, in the order of the tensor.
  WINNOW_HD std::int64_t entry(std::int64_t group, std::int64_t col) const {
    return (col / inner * groups + group) * inner + col % inner;
  }
};

struct LoadGroupSquare {
  const float* x;
  Grouping grouping;
  WINNOW_HD float operator()(std::int64_t group, std::int64_t col) const {
    const float value = x[grouping.entry(group, col)];
    return value * value;
  }
};

// Adds up the squares of groups that run through several tensors; the last one takes the root.
struct StoreGroupNorm {
  float* norms;
  bool first, last;
  WINNOW_HD void operator()(std::int64_t group, float squares) const {
    const float sum = first ? squares : norms[group] + squares;
    norms[group] = last ? sqrtf(sum) : sum;
  }
};

// d norm / d x = x / norm; 0 for a group that is zero.
struct GroupNormGradient {
  const float *x, *norms, *dnorms;
  float* dx;
  Grouping grouping;
  WINNOW_HD void operator()(std::int64_t i) const {
    const std::int64_t g = grouping.group_of(i);
    dx[i] = norms[g] == 0 ? 0.0f : dnorms[g] * (x[i] / norms[g]);
  }
};

// The proximal step of t * norm, t = learning rate * factor * scale: every group becomes shorter by t, or zero.
struct GroupShrink {
  const float *x, *norms;
  const std::uint8_t* train;  // null: all; entries with 0 keep their bits
  const float* rate_factor;   // of this parameter at this update; null: 1
  float* y;
  Grouping grouping;
  const double* scale;
  const RunState* run;
  float t = 0;  // set by loaded(); 0 once training has stopped

  WINNOW_HD GroupShrink loaded() const {
    GroupShrink now = *this;
    const double factor = rate_factor != nullptr ? static_cast<double>(*rate_factor) : 1.0;
    now.t = run->status.stopped != 0 ? 0.0f : static_cast<float>(run->feed.learning_rate * *scale * factor);
    return now;
  }
  WINNOW_HD void operator()(std::int64_t i) const {
    const float norm = norms[grouping.group_of(i)];
    const bool moves = t != 0 && (train == nullptr || train[i] != 0);
    y[i] = !moves ? x[i] : norm <= t ? 0.0f : x[i] * (1.0f - t / norm);
  }
};

}  // namespace winnow
