#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/cpu/keep_largest.h"
#include "kernels/rng.h"
#include "op_bench.h"

namespace winnow {
namespace {

const std::vector<float> kScores{.3f, -.1f, .05f, -.4f, .2f, .02f, .15f, -.25f};

std::vector<std::uint8_t> kept(const std::vector<float>& scores, std::int64_t drop) {
  std::vector<std::uint8_t> keep(scores.size());
  keep_largest(scores, drop, keep.data());
  return keep;
}

TEST(EdgePopup, MasksMatchSpecificationOracle) {
  EXPECT_EQ(dropped_of(8, .3), 5);
  EXPECT_EQ(kept(kScores, dropped_of(8, .5)), (std::vector<std::uint8_t>{1, 0, 0, 1, 1, 0, 0, 1}));
  EXPECT_EQ(kept(kScores, dropped_of(8, .3)), (std::vector<std::uint8_t>{1, 0, 0, 1, 0, 0, 0, 1}));
}

TEST(EdgePopup, EqualScoresAreDroppedInTheirOrder) {
  EXPECT_EQ(kept({1, -1, 1, .5f, 1}, 3), (std::vector<std::uint8_t>{0, 0, 1, 0, 1}));
  EXPECT_EQ(kept({0, 0, 0}, 0), (std::vector<std::uint8_t>{1, 1, 1}));
  EXPECT_EQ(kept({0, 2, 0}, 3), (std::vector<std::uint8_t>{0, 0, 0}));
}

TEST(EdgePopup, SelectionAgreesWithSorting) {
  std::vector<float> scores(5000);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    scores[i] = std::round(100 * normal_at({7, 1, 2}, i)) * (i % 2 == 0 ? 1e-4f : 1e3f);
  }
  std::vector<std::size_t> order(scores.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::abs(scores[a]) < std::abs(scores[b]);
  });
  for (const std::int64_t drop : {1, 60, 2499, 2500, 4990, 4999}) {
    std::vector<std::uint8_t> expected(scores.size(), 1);
    for (std::int64_t i = 0; i < drop; ++i) expected[order[static_cast<std::size_t>(i)]] = 0;
    EXPECT_EQ(kept(scores, drop), expected) << drop;
  }
}

TEST(EdgePopup, GradientIsStraightThroughForAllScores) {
  OpBench bench;
  const float r = std::sqrt(.5f);
  const ValueId w = bench.leaf("w", {8}, {r, -r, r, r, -r, r, -r, r}),
                s = bench.leaf("s", {8}, kScores);
  const auto out = bench.graph.emit("score_mask", {w, s}, {{"density", .5}}, "mask");
  expect_near(bench.value(out[0]), {r, 0, 0, r, -r, 0, 0, r});
  const auto grads = bench.gradients(out[0], {.1f, .2f, .3f, .4f, .5f, .6f, .7f, .8f}, {w, s});
  expect_near(grads[0], {.1f, 0, 0, .4f, .5f, 0, 0, .8f});
  expect_near(grads[1],
              {.070711f, .141421f, .212132f, -.282843f, -.353553f, .424264f, -.494975f, -.565685f});
}

}  // namespace
}  // namespace winnow
