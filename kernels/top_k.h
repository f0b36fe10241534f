// The entries of largest magnitude, with one tie rule for every device: in ascending order of
// |score|, equal magnitudes in order of position, the first `drop` entries get 0 and the rest 1. NaN
// counts as larger than infinity. The result is a function of the scores alone. Reentrant; host memory. `scratch` has as many
// entries as `score`.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/portable.h"

namespace winnow {

// Entries that go when the share `density` of n stays (the rounding of the supermask code).
WINNOW_HD constexpr std::int64_t dropped_of(std::int64_t n, double density) {
  return static_cast<std::int64_t>((1.0 - density) * static_cast<double>(n));
}

void keep_largest(std::span<const float> score, std::int64_t drop, std::uint8_t* keep, std::uint32_t* scratch);

}  // namespace winnow
