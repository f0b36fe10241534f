// Group lasso: the norms and the proximal step, against numbers worked out by hand (numpy, float64).
#include <gtest/gtest.h>

#include <cmath>

#include "tests/core/run_graph.h"

namespace winnow {
namespace {

using test::Bench;
using Floats = std::vector<float>;

ValueId norms(Bench& bench, const std::vector<ValueId>& tensors, std::int64_t groups, std::vector<std::int64_t> inner) {
  return bench.graph.emit1("group_norms", tensors, {{"groups", groups}, {"inner", std::move(inner)}});
}

// lr is 1, so that `t` is the threshold.
Floats shrunk(const Shape& shape, const Floats& weights, std::int64_t groups, std::int64_t inner, double t,
              const std::vector<std::uint8_t>& train = {}, const Floats& strength = {}) {
  Bench bench;
  bench.context.learning_rate = 1;
  const ValueId w = bench.leaf("w", shape, weights);
  ValueId mask = kNoValue;
  if (!train.empty()) {
    mask = bench.graph.input("train", shape, DType::U8);
    Tensor tensor(DType::U8, shape);
    std::copy(train.begin(), train.end(), tensor.span<std::uint8_t>().begin());
    bench.leaves.emplace(mask, std::move(tensor));
  }
  const ValueId strong = strength.empty() ? kNoValue : bench.leaf("strength", {1}, strength);
  return bench.eval(bench.graph.emit1("group_shrink", {w, norms(bench, {w}, groups, {inner}), mask, strong},
                                      {{"groups", groups}, {"inner", inner}, {"scale", t}}));
}

void expect_close(const Floats& found, const Floats& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-6) << i;
}

TEST(GroupNorms, OfRowsColumnsAndTensorsTogether) {
  Bench bench;
  const ValueId w = bench.leaf("w", {2, 3}, {3, 0, 1, 4, -2, 2}), v = bench.leaf("v", {2}, {5, 12});
  expect_close(bench.eval(norms(bench, {w}, 2, {3})), {std::sqrt(10.0f), std::sqrt(24.0f)});
  expect_close(bench.eval(norms(bench, {w}, 3, {1})), {5, 2, std::sqrt(5.0f)});
  expect_close(bench.eval(norms(bench, {w, v}, 1, {6, 2})), {std::sqrt(34.0f + 169.0f)});
  expect_close(bench.eval(norms(bench, {w, v}, 2, {3, 1})), {std::sqrt(35.0f), std::sqrt(168.0f)});
}

// {2, 2, 2}: filters, channels and shapes of a convolution with two taps.
TEST(GroupNorms, OfFiltersChannelsAndShapes) {
  Bench bench;
  const ValueId w = bench.leaf("w", {2, 2, 2, 1}, {1, 2, 3, 4, 5, 6, 7, 8});
  const auto root = [](double squares) { return static_cast<float>(std::sqrt(squares)); };
  expect_close(bench.eval(norms(bench, {w}, 2, {4})), {root(30), root(174)});
  expect_close(bench.eval(norms(bench, {w}, 2, {2})), {root(1 + 4 + 25 + 36), root(9 + 16 + 49 + 64)});
  expect_close(bench.eval(norms(bench, {w}, 4, {1})), {root(26), root(40), root(58), root(80)});
}

TEST(GroupShrink, MatchesTheSpecificationsOracles) {
  expect_close(shrunk({1, 2}, {3, 4}, 1, 2, 1), {2.4f, 3.2f});
  EXPECT_EQ(shrunk({1, 2}, {3, 4}, 1, 2, 6), (Floats{0, 0}));
  expect_close(shrunk({2, 2}, {3, 4, 0.6f, 0.8f}, 2, 2, 0.5), {2.7f, 3.6f, 0.3f, 0.4f});
  expect_close(shrunk({2, 2}, {3, 4, 0.6f, 0.8f}, 2, 2, 0.5 * std::sqrt(2.0)),
               {2.575736f, 3.434315f, 0.175736f, 0.234315f});
}

TEST(GroupShrink, ZeroIsZeroWithoutASignAndFrozenEntriesKeepTheirBits) {
  const Floats zero = shrunk({1, 2}, {-3, 4}, 1, 2, 6);
  EXPECT_FALSE(std::signbit(zero[0]));
  EXPECT_EQ(shrunk({1, 2}, {-3, 4}, 1, 2, 6, {0, 1}), (Floats{-3, 0}));
}

TEST(GroupShrink, StrengthIsReadWhenItRunsAndZeroMovesNothing) {
  expect_close(shrunk({1, 2}, {3, 4}, 1, 2, 2, {}, {0.5f}), {2.4f, 3.2f});
  EXPECT_EQ(shrunk({1, 2}, {3, 4}, 1, 2, 6, {}, {0}), (Floats{3, 4}));
}

}  // namespace
}  // namespace winnow
