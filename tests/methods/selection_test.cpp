#include "experiments/methods/toolkit/selection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"

namespace winnow {
namespace {

TEST(TopK, LargestScoresWinAndTiesGoToSmallerPositions) {
  EXPECT_EQ(top_k(Scores{1, 3, 2, 3, 3}, 2, "w"), (Bits{0, 1, 0, 1, 0}));
  EXPECT_EQ(top_k(Scores{7, 7, 7, 7}, 2, "w"), (Bits{1, 1, 0, 0}));
  EXPECT_EQ(top_k(Scores{1, 2}, 0, "w"), (Bits{0, 0}));
  EXPECT_EQ(top_k(Scores{1, 2}, 2, "w"), (Bits{1, 1}));
}

TEST(TopK, TiesAcrossTensorsGoToTheFirstTensor) {
  const auto masks = top_k(std::vector<Scores>{{1, 5}, {5, 5}}, 2, {"a", "b"});
  EXPECT_EQ(masks[0], (Bits{0, 1}));
  EXPECT_EQ(masks[1], (Bits{1, 0}));
}

TEST(TopK, MinusInfinityIsChosenLastButChosen) {
  const float never = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(top_k(Scores{never, -5, never}, 2, "w"), (Bits{1, 1, 0}));
}

TEST(TopK, AgreesWithSortingOnManyScores) {
  Scores scores(4000);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    scores[i] = std::round(20 * normal_at({3, 1, 0}, i));
  }
  std::vector<std::size_t> order(scores.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  for (const std::int64_t count : {1, 17, 2000, 3999}) {
    Bits expected(scores.size(), 0);
    for (std::int64_t i = 0; i < count; ++i) expected[order[static_cast<std::size_t>(i)]] = 1;
    EXPECT_EQ(top_k(scores, count, "w"), expected) << count;
  }
}

TEST(TopK, NaNNamesTheTensor) {
  try {
    top_k(std::vector<Scores>{{1}, {std::nanf("")}}, 1, {"conv1.weight", "fc.weight"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("fc.weight"), std::string::npos);
  }
}

TEST(KeptCount, DensityGivesTheCountOfTheLiteralSparsity) {
  EXPECT_EQ(sparsity_of(0.1), 0.9);
  EXPECT_EQ(sparsity_of(0.005), 0.995);
  EXPECT_EQ(sparsity_of(0.02), 0.98);
  EXPECT_EQ(sparsity_of(1.0), 0.0);
  EXPECT_EQ(kept_count(235200, sparsity_of(0.1)), 235200 - 211680);
  EXPECT_EQ(kept_count(10, sparsity_of(0.1)), 1);
  EXPECT_EQ(kept_count(100, sparsity_of(0.3)), 30);
  EXPECT_EQ(kept_count(5, 0.0), 5);
}

TEST(KeptCount, TrainedParametersOfFreezeNetMatchThePublishedRatios) {
  const auto ratio = [](double d, double all, double rest, double density) {
    return all / (static_cast<double>(kept_count(static_cast<std::int64_t>(d), sparsity_of(density))) + rest);
  };
  const std::vector<std::pair<double, double>> caffe = {
      {.1, 9.88}, {.05, 19.50}, {.01, 88.25}, {.005, 157.7}, {.001, 426.4}};
  for (const auto& [density, expected] : caffe) {
    EXPECT_NEAR(ratio(430500, 431080, 580, density), expected, expected < 100 ? .005 : .05);
  }
  const std::vector<std::pair<double, double>> lenet = {{.1, 9.86}, {.05, 19.43}, {.01, 86.79}, {.005, 153.1}};
  for (const auto& [density, expected] : lenet) {
    EXPECT_NEAR(ratio(266200, 266610, 410, density), expected, expected < 100 ? .005 : .05);
  }
}

TEST(Shuffle, KeepsCountsAndFollowsTheKey) {
  Bits bits(1000, 0);
  std::fill_n(bits.begin(), 100, std::uint8_t{1});
  Bits a = bits, b = bits, c = bits;
  shuffle(a, {1, 2, 3});
  shuffle(b, {1, 2, 3});
  shuffle(c, {2, 2, 3});
  EXPECT_EQ(count_ones(a), 100);
  EXPECT_NE(a, bits);
  EXPECT_EQ(a, b);
  EXPECT_NE(a, c);
}

TEST(Shuffle, OverAllTensorsMovesBitsBetweenThem) {
  std::vector<Bits> masks = {Bits(500, 1), Bits(500, 0)};
  shuffle(masks, {1, 2, 3});
  EXPECT_EQ(count_ones(masks[0]) + count_ones(masks[1]), 500);
  EXPECT_NEAR(static_cast<double>(count_ones(masks[0])), 250, 60);
}

TEST(Invert, TurnsTheOrderRoundAndLeavesZerosLast) {
  Scores scores{3, 0, 1, 2};
  invert(scores);
  EXPECT_EQ(top_k(scores, 1, "w"), (Bits{0, 0, 1, 0}));
  EXPECT_EQ(top_k(scores, 3, "w"), (Bits{1, 0, 1, 1}));
}

}  // namespace
}  // namespace winnow
