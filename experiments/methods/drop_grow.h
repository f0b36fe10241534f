// The update of dynamic sparse training: weak weights leave, others enter, the number stays. Pure
// functions.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "experiments/methods/selection.h"

namespace winnow {

// Keeps all but `count` of the active entries, by |weight|, then activates the `count` entries with
// the largest growth scores among all others, those just dropped included. Ties go to smaller
// positions.
Bits drop_grow(std::span<const float> weights, std::span<const std::uint8_t> mask,
               std::span<const float> growth, std::int64_t count, const std::string& tensor);

// alpha / 2 * (1 + cos(pi * t / span)) from t = 0 to `span`, 0 after it.
double cosine_fraction(double alpha, std::int64_t t, std::int64_t span);

// int(float(active) * float(fraction)), as RigL's code rounds.
std::int64_t rigl_count(std::int64_t active, double fraction);

}  // namespace winnow
