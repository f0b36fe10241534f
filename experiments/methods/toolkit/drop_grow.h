// The update of dynamic sparse training: weak weights leave, as many others enter. Pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "experiments/methods/toolkit/selection.h"

namespace winnow {

// The active entries that stay: all but the `count` with the smallest |weight|. Ties go to smaller
// positions, here and below.
Bits drop_smallest(std::span<const float> weights, std::span<const std::uint8_t> mask, std::int64_t count,
                   const std::string& tensor);

// The rule of SET's official code: of the positive and of the negative active weights the share
// closest to zero leaves, rounded up. Zeros leave too: the code takes them for empty positions.
Bits drop_by_sign(std::span<const float> weights, std::span<const std::uint8_t> mask, double share,
                  const std::string& tensor);

// `kept` and the `count` entries with the largest growth scores among all others, those just dropped included.
Bits grow(const Bits& kept, std::span<const float> growth, std::int64_t count, const std::string& tensor);

// ceil(share * count).
std::int64_t share_of(std::int64_t count, double share);

// alpha / 2 * (1 + cos(pi * t / span)) from t = 0 to `span`, 0 after it.
double cosine_fraction(double alpha, std::int64_t t, std::int64_t span);

// int(float(active) * float(fraction)), as RigL's code rounds.
std::int64_t rigl_count(std::int64_t active, double fraction);

}  // namespace winnow
