#include "experiments/methods/toolkit/drop_grow.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace winnow {

namespace {
constexpr float kNever = -std::numeric_limits<float>::infinity();
}

Bits drop_smallest(std::span<const float> weights, std::span<const std::uint8_t> mask, std::int64_t count,
                   const std::string& tensor) {
  Scores magnitude(weights.size());
  for (std::size_t i = 0; i < weights.size(); ++i) {
    magnitude[i] = mask[i] != 0 ? std::fabs(weights[i]) : kNever;
  }
  return top_k(magnitude, count_ones(mask) - count, tensor);
}

Bits drop_by_sign(std::span<const float> weights, std::span<const std::uint8_t> mask, double share,
                  const std::string& tensor) {
  Bits kept(weights.size(), 0);
  for (const float sign : {1.0f, -1.0f}) {
    Scores distance(weights.size(), kNever);
    std::int64_t count = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const float value = sign * weights[i];
      if (mask[i] == 0 || value <= 0) continue;  // a NaN goes on, to be named by top_k
      distance[i] = value;
      ++count;
    }
    const Bits stay = top_k(distance, count - share_of(count, share), tensor);
    for (std::size_t i = 0; i < kept.size(); ++i) kept[i] |= stay[i];
  }
  return kept;
}

Bits grow(const Bits& kept, std::span<const float> growth, std::int64_t count, const std::string& tensor) {
  Scores candidate(growth.begin(), growth.end());
  for (std::size_t i = 0; i < candidate.size(); ++i) {
    if (kept[i] != 0) candidate[i] = kNever;
  }
  Bits result = top_k(candidate, count, tensor);
  for (std::size_t i = 0; i < result.size(); ++i) result[i] |= kept[i];
  return result;
}

std::int64_t share_of(std::int64_t count, double share) {
  return static_cast<std::int64_t>(std::ceil(share * static_cast<double>(count)));
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
