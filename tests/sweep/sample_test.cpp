#include "experiments/sweep/sample.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace winnow {
namespace {

using Points = std::vector<std::vector<std::string>>;

std::vector<SampleDistribution> uniform_space(std::size_t keys) {
  std::vector<SampleDistribution> space;
  for (std::size_t k = 0; k < keys; ++k) {
    space.push_back({"train.key" + std::to_string(k), SampleDistribution::Kind::Uniform, 0, 1, {}});
  }
  return space;
}

std::vector<double> column(const Points& points, std::size_t k) {
  std::vector<double> values;
  for (const auto& point : points) values.push_back(std::stod(point[k]));
  return values;
}

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const auto n = static_cast<double>(a.size());
  double sa = 0, sb = 0, aa = 0, bb = 0, ab = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sa += a[i], sb += b[i], aa += a[i] * a[i], bb += b[i] * b[i], ab += a[i] * b[i];
  }
  return (ab - sa * sb / n) / std::sqrt((aa - sa * sa / n) * (bb - sb * sb / n));
}

TEST(Sample, GrowingKeepsTheFirstPointsExceptForLhs) {
  const auto space = uniform_space(5);
  for (const SampleKind kind : {SampleKind::Sobol, SampleKind::Random, SampleKind::Halton}) {
    const Points few = sample_points(kind, 13, 7, space), more = sample_points(kind, 100, 7, space);
    EXPECT_TRUE(std::equal(few.begin(), few.end(), more.begin()));
  }
  EXPECT_NE(sample_points(SampleKind::Lhs, 13, 7, space)[0], sample_points(SampleKind::Lhs, 14, 7, space)[0]);
}

TEST(Sample, LhsGrowsByMultiplesOfWhatItWas) {
  const auto space = uniform_space(6);
  const std::vector<std::vector<std::size_t>> grown = {{}, {7}, {7, 21}, {7, 21, 42}};
  const std::size_t counts[] = {7, 21, 42, 168};
  Points before;
  for (std::size_t step = 0; step < grown.size(); ++step) {
    const std::size_t n = counts[step];
    Points points = sample_points(SampleKind::Lhs, n, 5, space, grown[step]);
    ASSERT_EQ(points.size(), n);
    EXPECT_TRUE(std::equal(before.begin(), before.end(), points.begin())) << n;
    for (std::size_t k = 0; k < space.size(); ++k) {
      std::set<int> strata;
      for (const double value : column(points, k)) strata.insert(static_cast<int>(value * static_cast<double>(n)));
      EXPECT_EQ(strata.size(), n) << k;
    }
    before = std::move(points);
  }
  EXPECT_EQ(sample_points(SampleKind::Lhs, 7, 5, space), Points(before.begin(), before.begin() + 7));
  for (std::size_t k = 1; k < space.size(); ++k) {
    EXPECT_LT(std::abs(correlation(column(before, 0), column(before, k))), 0.25) << k;
  }
}

TEST(Sample, NoTwoKeysCorrelateAndSeedsDiffer) {
  const auto space = uniform_space(12);
  for (const SampleKind kind : {SampleKind::Sobol, SampleKind::Random, SampleKind::Lhs, SampleKind::Halton}) {
    const Points points = sample_points(kind, 2048, 3, space);
    for (std::size_t a = 0; a < space.size(); ++a) {
      for (std::size_t b = 0; b < a; ++b) {
        EXPECT_LT(std::abs(correlation(column(points, a), column(points, b))), 0.09) << a << " " << b;
      }
    }
    EXPECT_NE(points[0], sample_points(kind, 1, 4, space)[0]);
  }
}

TEST(Sample, SobolAndLhsFillEveryStratumOnce) {
  const auto space = uniform_space(6);
  for (const SampleKind kind : {SampleKind::Sobol, SampleKind::Lhs}) {
    const Points points = sample_points(kind, 64, 11, space);
    for (std::size_t k = 0; k < space.size(); ++k) {
      std::set<int> strata;
      for (const double value : column(points, k)) strata.insert(static_cast<int>(value * 64));
      EXPECT_EQ(strata.size(), 64u) << k;
    }
  }
}

TEST(Sample, OrderOfTheSpaceDoesNotMatter) {
  auto space = uniform_space(3);
  const Points forward = sample_points(SampleKind::Sobol, 8, 1, space);
  std::reverse(space.begin(), space.end());
  const Points backward = sample_points(SampleKind::Sobol, 8, 1, space);
  for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(forward[i][0], backward[i][2]);
}

TEST(Sample, DistributionsKeepTheirBoundsAndNineDigits) {
  const std::vector<SampleDistribution> space = {{"a", SampleDistribution::Kind::Uniform, -2, 3, {}},
                                                 {"b", SampleDistribution::Kind::LogUniform, 1e-4, 1, {}},
                                                 {"c", SampleDistribution::Kind::Int, 1, 4, {}},
                                                 {"d", SampleDistribution::Kind::Choice, 0, 0, {"x", "y", "z"}}};
  const Points points = sample_points(SampleKind::Sobol, 1024, 5, space);
  int below_hundredth = 0;
  std::map<std::string, int> integers, choices;
  for (const auto& point : points) {
    const double a = std::stod(point[0]), b = std::stod(point[1]);
    EXPECT_TRUE(a >= -2 && a <= 3);
    EXPECT_TRUE(b >= 1e-4 && b <= 1);
    below_hundredth += b < 1e-2;
    EXPECT_EQ(fmt::format("{:.9g}", a), point[0]);
    ++integers[point[2]];
    ++choices[point[3]];
  }
  EXPECT_NEAR(below_hundredth, 512, 4);
  EXPECT_EQ(integers.size(), 4u);
  for (const auto& [text, count] : integers) EXPECT_NEAR(count, 256, 4) << text;
  for (const auto& [text, count] : choices) EXPECT_NEAR(count, 341, 4) << text;
}

// Values are part of trials' identities, so they may not change between versions.
TEST(Sample, PointsArePinned) {
  const auto space = uniform_space(2);
  const auto first = [&](SampleKind kind) {
    const Points points = sample_points(kind, 2, 7, space);
    return points[0][0] + " " + points[0][1] + " " + points[1][0] + " " + points[1][1];
  };
  EXPECT_EQ(first(SampleKind::Sobol), "0.837352391 0.607376835 0.337352391 0.107376835");
  EXPECT_EQ(first(SampleKind::Random), "0.782802714 0.769668692 0.760682354 0.873863026");
  EXPECT_EQ(first(SampleKind::Halton), "0.337352391 0.940710168 0.0873523907 0.274043501");
  EXPECT_EQ(first(SampleKind::Lhs), "0.891401357 0.384834346 0.380341177 0.936931513");
  EXPECT_EQ(sample_points(SampleKind::Lhs, 4, 7, space, {2})[3][0], "0.0939753219");
}

}  // namespace
}  // namespace winnow
