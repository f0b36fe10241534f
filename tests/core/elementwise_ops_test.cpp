#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/autodiff.h"
#include "tests/core/run_graph.h"

namespace winnow {
namespace {

using test::Bench;
using Floats = std::vector<float>;

ValueId dropout(Bench& bench, ValueId x, double p = 0.5) {
  return bench.graph.emit1("dropout", {x}, {{"p", p}}, "drop");
}

TEST(Relu, KeepsNaN) {
  Bench bench;
  const ValueId x = bench.leaf("x", {2}, {std::numeric_limits<float>::quiet_NaN(), -1});
  const Floats y = bench.eval(bench.graph.emit1("relu", {x}));
  EXPECT_TRUE(std::isnan(y[0])) << "a diverged run must show";
  EXPECT_EQ(y[1], 0);
}

// x * 0 is NaN where x is infinite or NaN, as in PyTorch.
TEST(Dropout, DroppedElementsKeepNaN) {
  Bench bench;
  const ValueId x = bench.leaf("x", {100}, Floats(100, std::numeric_limits<float>::quiet_NaN()));
  for (const float y : bench.eval(dropout(bench, x))) EXPECT_TRUE(std::isnan(y));
}

TEST(Dropout, KeepsTheExpectedShareAndScale) {
  Bench bench;
  const std::size_t n = 100 * 401;
  const ValueId x = bench.leaf("x", {100, 401}, Floats(n, 1.0f));
  const Floats y = bench.eval(dropout(bench, x, 0.2));
  std::size_t kept = 0;
  for (const float value : y) {
    if (value == 0) continue;
    ++kept;
    ASSERT_FLOAT_EQ(value, 1.25f);
  }
  EXPECT_NEAR(static_cast<double>(kept) / static_cast<double>(n), 0.8, 0.01);
}

// Two ranks with half the batch each draw what one rank draws for the whole batch; rows are not multiples of four.
TEST(Dropout, DoesNotDependOnHowTheBatchIsSplit) {
  constexpr std::int64_t kRows = 10, kCols = 37, kFirst = 3;
  Bench whole, part;
  const Floats ones(kRows * kCols, 1.0f);
  const Floats all = whole.eval(dropout(whole, whole.leaf("x", {kRows, kCols}, ones)));
  part.context.first_row = kFirst;
  const Floats rest = part.eval(
      dropout(part, part.leaf("x", {kRows - kFirst, kCols}, Floats(ones.begin() + kFirst * kCols, ones.end()))));
  EXPECT_EQ(rest, Floats(all.begin() + kFirst * kCols, all.end()));
}

TEST(Dropout, DrawsAnewForEachStepSeedAndNode) {
  Bench bench;
  const ValueId x = bench.leaf("x", {20, 20}, Floats(400, 1.0f));
  const ValueId y = dropout(bench, x);
  const Floats first = bench.eval(y);
  EXPECT_NE(first, bench.eval(bench.graph.emit1("dropout", {x}, {{"p", 0.5}}, "other")));
  bench.context.step = 1;
  EXPECT_NE(first, bench.eval(y));
  bench.context.step = 0;
  bench.context.seed = 1;
  EXPECT_NE(first, bench.eval(y));
  bench.context.seed = 0;
  EXPECT_EQ(first, bench.eval(y));
}

TEST(Dropout, GradientHasTheForwardMask) {
  Bench bench;
  const ValueId x = bench.leaf("x", {8, 9}, Floats(72, 1.0f));
  const ValueId y = dropout(bench, x);
  const ValueId loss = bench.graph.emit1("reduce_sum", {y}, {}, "loss");
  const auto gradients = differentiate(bench.graph, loss, std::span(&x, 1));
  EXPECT_EQ(bench.eval(gradients[0].grad), bench.eval(y)) << "with ones in, mask and output are the same numbers";
}

}  // namespace
}  // namespace winnow
