#include "experiments/methods/drop_grow.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace winnow {

Bits drop_grow(std::span<const float> weights, std::span<const std::uint8_t> mask,
               std::span<const float> growth, std::int64_t count, const std::string& tensor) {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  Scores magnitude(weights.size()), candidate(growth.begin(), growth.end());
  for (std::size_t i = 0; i < weights.size(); ++i) {
    magnitude[i] = mask[i] != 0 ? std::fabs(weights[i]) : kNever;
  }
  Bits result = top_k(magnitude, count_ones(mask) - count, tensor);
  for (std::size_t i = 0; i < candidate.size(); ++i) {
    if (result[i] != 0) candidate[i] = kNever;
  }
  const Bits grown = top_k(candidate, count, tensor);
  for (std::size_t i = 0; i < result.size(); ++i) result[i] |= grown[i];
  return result;
}

double cosine_fraction(double alpha, std::int64_t t, std::int64_t span) {
  if (span <= 0) return 0;
  const double progress = static_cast<double>(std::min(t, span)) / static_cast<double>(span);
  return alpha / 2 * (1 + std::cos(std::numbers::pi * progress));
}

std::int64_t rigl_count(std::int64_t active, double fraction) {
  return static_cast<std::int64_t>(static_cast<float>(active) * static_cast<float>(fraction));
}

}  // namespace winnow
