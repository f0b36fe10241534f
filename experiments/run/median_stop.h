// The median stopping rule (Golovin et al. 2017, "Google Vizier", section 3.2.1): a trial stays at a rung if the best of its metric up to
// there is strictly worse than the median of the means up to there, over all trials that have come to the rung, itself among them. The
// source asks completed trials only; where many are trained at a time none is when the first decisions fall. Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "experiments/results/container.h"

namespace winnow {

// How a trial has fared up to a rung, its rows with values that are not finite left out of `best`. NaN: the worst, or not known.
struct Standing {
  double best = std::numeric_limits<double>::quiet_NaN();
  double mean = std::numeric_limits<double>::quiet_NaN();
};

// By the rows up to the first evaluation at the rung or behind it. NaN where there is none.
Standing standing_at(const Table& epochs, const std::string& metric, bool least_is_best, std::int64_t rung);

// What they are measured by. Nothing: there are fewer than `least`, or half of them are the worst.
std::optional<double> median_of_means(std::span<const Standing> all, bool least_is_best, std::size_t least);

// Of each: whether it stays. Nobody does where there are fewer than `least`, but for those that are the worst; of an even number the median
// is the mean of the middle two.
std::vector<char> stopped_by_median(std::span<const Standing> all, bool least_is_best, std::size_t least);

}  // namespace winnow
