// Weights masked by the rank of their scores, and the straight-through gradients. Single source for CPU and CUDA.
#pragma once

#include <cstdint>

#include "kernels/portable.h"

namespace winnow {

struct ApplyMask {
  const float* x;
  const std::uint8_t* mask;  // null: all
  float* y;
  WINNOW_HD auto operands(const auto& run) { return mask == nullptr ? run(x, y) : run(x, mask, y); }
  WINNOW_HD void operator()(std::int64_t i) const { y[i] = mask == nullptr || mask[i] != 0 ? x[i] : 0.0f; }
};

// The mask is taken for |score|, and |score| goes through the absolute value; masked entries have a gradient too.
struct ScoreGradient {
  const float *dy, *w, *score;
  float* dscore;
  WINNOW_HD auto operands(const auto& run) { return run(dy, w, score, dscore); }
  WINNOW_HD void operator()(std::int64_t i) const {
    const float s = score[i], sign = s > 0 ? 1.0f : s < 0 ? -1.0f : s == 0 ? 0.0f : s;  // NaN stays
    dscore[i] = dy[i] * w[i] * sign;
  }
};

}  // namespace winnow
