// Learned step size quantisation: a weight v becomes s * round(clip(v / s, low, high)) with one trained step s for all
// entries, and its straight-through derivatives. Rounding is half to even, and there is no negative zero. Single source for
// CPU and CUDA.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/portable.h"

namespace winnow {

// The levels, from `low` to `high` steps, and the step, which is read when a functor runs.
struct StepGrid {
  const float* step;
  float low, high;
  float s = 0;  // set by loaded()
  WINNOW_HD StepGrid loaded() const { return {step, low, high, *step}; }
  WINNOW_HD float code(float v) const {
    const float r = v / s;
    return std::rint(r < low ? low : r > high ? high : r) + 0.0f;  // NaN stays; -0 becomes 0
  }
  WINNOW_HD float quantised(float v) const { return code(v) * s; }
};

struct LsqForward {
  const float* v;
  StepGrid grid;
  float* y;
  WINNOW_HD LsqForward loaded() const { return {v, grid.loaded(), y}; }
  WINNOW_HD auto operands(const auto& run) { return run(v, y); }
  WINNOW_HD void operator()(std::int64_t i) const { y[i] = grid.quantised(v[i]); }
};

// dv of dy: clipped entries have no gradient.
struct LsqBackward {
  const float *dy, *v;
  StepGrid grid;
  float* dv;
  WINNOW_HD LsqBackward loaded() const { return {dy, v, grid.loaded(), dv}; }
  WINNOW_HD auto operands(const auto& run) { return run(dy, v, dv); }
  WINNOW_HD void operator()(std::int64_t i) const {
    const float r = v[i] / grid.s;
    dv[i] = r > grid.low && r < grid.high ? dy[i] : 0.0f;
  }
};

// What each entry adds to the gradient of the step, for a fold over all entries.
struct LoadStepGradient {
  const float *dy, *v;
  StepGrid grid;
  WINNOW_HD LoadStepGradient loaded() const { return {dy, v, grid.loaded()}; }
  WINNOW_HD float operator()(std::int64_t, std::int64_t i) const {
    const float r = v[i] / grid.s;
    return dy[i] * (r <= grid.low ? grid.low : r >= grid.high ? grid.high : std::rint(r) - r);
  }
};
struct StoreStepGradient {
  float* ds;
  float scale;
  WINNOW_HD void operator()(std::int64_t, float sum) const { *ds = scale * sum; }
};

}  // namespace winnow
