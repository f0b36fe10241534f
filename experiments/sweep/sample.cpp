#include "experiments/sweep/sample.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/math/special_functions/prime.hpp>
#include <boost/random/sobol.hpp>
#include <cmath>

#include "kernels/rng.h"

namespace winnow {
namespace {

constexpr double kTwoTo53 = 9007199254740992.0;

std::uint64_t word64(const RngKey& key, std::uint64_t i) {
  const RngBlock block = philox(key, i);
  return (static_cast<std::uint64_t>(block.word[1]) << 32) | block.word[0];
}

// In (0, 1).
double unit(std::uint64_t word) { return (static_cast<double>(word >> 11) + 0.5) / kTwoTo53; }

// Each purpose of a key's stream has its own step.
RngKey stream(std::uint64_t seed, const std::string& key, std::uint32_t purpose) {
  return {seed, stream_id(key), purpose};
}
enum Purpose : std::uint32_t { kDraw, kShift, kOrder };  // kOrder + n: of those by which n points have become more

std::vector<double> random_column(std::size_t n, std::uint64_t seed, const std::string& key) {
  std::vector<double> column(n);
  for (std::size_t i = 0; i < n; ++i) column[i] = unit(word64(stream(seed, key, kDraw), i));
  return column;
}

// Puts points into the strata of `n` that those of `column` leave free.
void fill_strata(std::vector<double>& column, std::size_t n, const RngKey& order, const std::vector<double>& draws) {
  const std::size_t before = column.size();
  const auto strata = static_cast<double>(n);
  std::vector<bool> is_taken(n);
  for (const double value : column) {
    // Rounding must not move a value out of the wider stratum that it has for itself.
    const std::size_t parts = n / before, first = static_cast<std::size_t>(value * static_cast<double>(before)) * parts;
    is_taken[std::clamp(static_cast<std::size_t>(value * strata), first, first + parts - 1)] = true;
  }
  std::vector<std::size_t> free;
  for (std::size_t i = 0; i < n; ++i) {
    if (!is_taken[i]) free.push_back(i);
  }
  std::sort(free.begin(), free.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(word64(order, a), a) < std::pair(word64(order, b), b);
  });
  for (const std::size_t stratum : free) {
    column.push_back((static_cast<double>(stratum) + draws[column.size()]) / strata);
  }
}

std::vector<double> lhs_column(std::size_t n, std::uint64_t seed, const std::string& key,
                               const std::vector<std::size_t>& keep) {
  const std::vector<double> draws = random_column(n, seed, key);
  std::vector<double> column;
  for (const std::size_t more : keep) {
    fill_strata(column, more, stream(seed, key, kOrder + static_cast<std::uint32_t>(column.size())), draws);
  }
  fill_strata(column, n, stream(seed, key, kOrder + static_cast<std::uint32_t>(column.size())), draws);
  return column;
}

std::vector<double> halton_column(std::size_t n, std::uint64_t seed, const std::string& key, unsigned base) {
  const double shift = unit(word64(stream(seed, key, kShift), 0));
  std::vector<double> column(n);
  for (std::size_t i = 0; i < n; ++i) {
    double value = 0, scale = 1.0 / base;
    for (std::size_t rest = i + 1; rest != 0; rest /= base, scale /= base) {
      value += static_cast<double>(rest % base) * scale;
    }
    value += shift;
    column[i] = value - std::floor(value);
  }
  return column;
}

std::vector<std::vector<double>> sobol_columns(std::size_t n, std::uint64_t seed,
                                               const std::vector<std::string>& keys) {
  std::vector<std::vector<double>> columns(keys.size(), std::vector<double>(n));
  boost::random::sobol generator(keys.size());
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < keys.size(); ++k) {
      const std::uint64_t shift = word64(stream(seed, keys[k], kShift), 0);
      // Boost starts behind the all-zero point; with it the first 2^m points fill every stratum.
      columns[k][i] = unit((i == 0 ? 0 : generator()) ^ shift);
    }
  }
  return columns;
}

std::string value_at(const SampleDistribution& distribution, double u) {
  const double low = distribution.low, high = distribution.high;
  switch (distribution.kind) {
    case SampleDistribution::Kind::Uniform:
      return fmt::format("{:.9g}", low + u * (high - low));
    case SampleDistribution::Kind::LogUniform:
      return fmt::format("{:.9g}", std::exp(std::log(low) + u * (std::log(high) - std::log(low))));
    case SampleDistribution::Kind::Int:
      return fmt::format("{:.0f}", std::min(low + std::floor(u * (high - low + 1)), high));
    case SampleDistribution::Kind::Choice: {
      const std::size_t count = distribution.choices.size();
      const auto index = static_cast<std::size_t>(u * static_cast<double>(count));
      return distribution.choices[std::min(index, count - 1)];
    }
  }
  return {};
}

}  // namespace

std::size_t most_dimensions(SampleKind kind) {
  switch (kind) {
    case SampleKind::Sobol:
      return boost::random::default_sobol_table::max_dimension;
    case SampleKind::Halton:
      return 50;  // higher bases stripe for any affordable n
    default:
      return 100'000;
  }
}

std::vector<std::vector<std::string>> sample_points(SampleKind kind, std::size_t n, std::uint64_t seed,
                                                    const std::vector<SampleDistribution>& space,
                                                    const std::vector<std::size_t>& keep) {
  // Dimensions go by the keys' order, not the file's, so that formatting a file never moves a point.
  std::vector<std::string> keys;
  for (const SampleDistribution& distribution : space) keys.push_back(distribution.key);
  std::sort(keys.begin(), keys.end());
  std::vector<std::vector<double>> columns;
  if (kind == SampleKind::Sobol) {
    columns = sobol_columns(n, seed, keys);
  } else {
    for (std::size_t k = 0; k < keys.size(); ++k) {
      columns.push_back(kind == SampleKind::Random ? random_column(n, seed, keys[k])
                        : kind == SampleKind::Lhs
                            ? lhs_column(n, seed, keys[k], keep)
                            : halton_column(n, seed, keys[k], boost::math::prime(static_cast<unsigned>(k))));
    }
  }
  std::vector<std::vector<std::string>> points(n);
  for (const SampleDistribution& distribution : space) {
    const auto k =
        static_cast<std::size_t>(std::lower_bound(keys.begin(), keys.end(), distribution.key) - keys.begin());
    for (std::size_t i = 0; i < n; ++i) points[i].push_back(value_at(distribution, columns[k][i]));
  }
  return points;
}

}  // namespace winnow
