#include "experiments/run/median_stop.h"

#include <algorithm>
#include <cmath>

namespace winnow {
namespace {

const std::vector<double>* reals_of(const Table& epochs, const std::string& name) {
  const Column* column = find_column(epochs, name);
  return column == nullptr ? nullptr : std::get_if<std::vector<double>>(&column->values);
}

// More is better.
double worth_of(double value, bool least_is_best) {
  if (!std::isfinite(value)) return -std::numeric_limits<double>::infinity();
  return least_is_best ? -value : value;
}

}  // namespace

Standing standing_at(const Table& epochs, const std::string& metric, bool least_is_best, std::int64_t rung) {
  const std::vector<double>*places = reals_of(epochs, "epoch"), *values = reals_of(epochs, metric);
  if (places == nullptr || values == nullptr) return {};
  Standing found;
  double sum = 0;
  for (std::size_t row = 0; row < places->size(); ++row) {
    const double value = (*values)[row];
    const bool better = std::isnan(found.best) || (least_is_best ? value < found.best : value > found.best);
    if (std::isfinite(value) && better) found.best = value;
    sum += value;
    if ((*places)[row] < static_cast<double>(rung)) continue;
    found.mean = sum / static_cast<double>(row + 1);
    // By rounding, the mean of equal values can be better than each of them: a curve that stands still would be worse than itself.
    if (least_is_best ? found.mean < found.best : found.mean > found.best) found.mean = found.best;
    return found;
  }
  return {};
}

std::optional<double> median_of_means(std::span<const Standing> all, bool least_is_best, std::size_t least) {
  if (all.empty() || all.size() < least) return std::nullopt;
  std::vector<double> means;
  for (const Standing& one : all) means.push_back(worth_of(one.mean, least_is_best));
  std::ranges::sort(means);
  const double median = (means[(means.size() - 1) / 2] + means[means.size() / 2]) / 2;
  if (!std::isfinite(median)) return std::nullopt;
  return least_is_best ? -median : median;
}

std::vector<char> stopped_by_median(std::span<const Standing> all, bool least_is_best, std::size_t least) {
  const std::optional<double> median = median_of_means(all, least_is_best, least);
  const auto is_worse = [&](double best) {
    return median && worth_of(best, least_is_best) < worth_of(*median, least_is_best);
  };
  std::vector<char> stays;
  for (const Standing& one : all) stays.push_back(!std::isfinite(one.best) || is_worse(one.best) ? 1 : 0);
  return stays;
}

}  // namespace winnow
