// Scalars that lie apart, side by side as f32, and back again. Single source for CPU and CUDA.
#pragma once

#include <cstdint>

#include "kernels/portable.h"
#include "kernels/run_state.h"

namespace winnow {

// One of them; counts and flags are whole numbers below 2^24.
struct ScalarPlace {
  enum class Type : std::uint32_t { F32, I32 };
  void* at;
  Type type;
  WINNOW_HD float value() const {
    return type == Type::F32 ? *static_cast<const float*>(at)
                             : static_cast<float>(*static_cast<const std::int32_t*>(at));
  }
  WINNOW_HD void set(float value) const {
    if (type == Type::F32) {
      *static_cast<float*>(at) = value;
    } else {
      *static_cast<std::int32_t*>(at) = static_cast<std::int32_t>(value);
    }
  }
};

// All of them, and behind them whether the run has found something that is not finite, be it one of these: what is queued
// behind then changes nothing. One lane looks at all, so that what it finds does not depend on the order of lanes.
struct GatherScalars {
  const ScalarPlace* from;
  std::int64_t count;
  RunState* run;
  float* to;
  WINNOW_HD void operator()(std::int64_t i) const {
    if (i < count) {
      to[i] = from[i].value();
      return;
    }
    for (std::int64_t each = 0; each < count; ++each) {
      if (not_finite(from[each].value())) mark_not_finite(run);
    }
    to[count] = run->status.not_finite != 0 ? 1.0f : 0.0f;
  }
};

// The same as the next row of a log. One lane does it all (n is 1): it is some five numbers, and it alone counts rows.
struct LogScalars {
  GatherScalars scalars;  // into the log's first row
  std::uint32_t* rows;    // so far
  WINNOW_HD void operator()(std::int64_t /*i*/) const {
    GatherScalars row = scalars;
    row.to += *rows * (row.count + 1);
    for (std::int64_t column = 0; column <= row.count; ++column) row(column);
    ++*rows;
  }
};

// Sums over ranks of what they have gathered, in its place. What one rank found ends the trial on all.
struct ScatterScalars {
  const ScalarPlace* to;
  std::int64_t count;
  RunState* run;
  const float* from;
  WINNOW_HD void operator()(std::int64_t i) const {
    if (not_finite(from[i]) || (i == count && from[i] > 0)) mark_not_finite(run);
    if (i < count) to[i].set(from[i]);
  }
};

}  // namespace winnow
