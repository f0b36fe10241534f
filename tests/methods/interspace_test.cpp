#include <gtest/gtest.h>

#include <cmath>

#include "op_bench.h"

namespace winnow {
namespace {

TEST(Interspace, CombinationAndGradientsMatchSpecificationOracle) {
  OpBench bench;
  const ValueId lambda = bench.leaf("lambda", {2, 1, 2, 2}, {2, 0, 1, 0, 0, -1, 0, 3});
  const ValueId basis =
      bench.leaf("basis", {4, 4}, {1, 0, 0, 0, 0, 1, 0, 0, .5f, 0, 1, 0, 0, 0, -.5f, 1});
  const ValueId h = bench.graph.emit1("basis_combine", {lambda, basis}, {}, "h");
  EXPECT_EQ(bench.value(h), (std::vector<float>{2.5f, 0, 1, 0, 0, -1, -1.5f, 3}));
  const auto grads = bench.gradients(h, {1, 2, 3, 4, 0, 1, 0, -1}, {lambda, basis});
  EXPECT_EQ(grads[0], (std::vector<float>{1, 2, 3.5f, 2.5f, 0, 1, 0, -1}));
  EXPECT_EQ(grads[1], (std::vector<float>{2, 4, 6, 8, 0, -1, 0, 1, 1, 2, 3, 4, 0, 3, 0, -3}));
}

TEST(Interspace, IdentityBasisGivesTheCoefficientsBitForBit) {
  OpBench bench;
  std::vector<float> values(5 * 4 * 9), identity(81, 0.0f);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = std::sin(static_cast<float>(i)) * 1e-3f;
  for (std::size_t i = 0; i < 9; ++i) identity[10 * i] = 1;
  const ValueId lambda = bench.leaf("lambda", {5, 4, 3, 3}, values),
                basis = bench.leaf("basis", {9, 9}, identity);
  const ValueId h = bench.graph.emit1("basis_combine", {lambda, basis}, {}, "h");
  EXPECT_EQ(bench.value(h), values);
  EXPECT_EQ(bench.gradients(h, values, {lambda})[0], values);
}

TEST(Interspace, GradientOfASharedBasisIsTheSumOverLayers) {
  OpBench bench;
  const ValueId x = bench.leaf("x", {1, 1, 2, 2}, {1, 2, 3, 4}),
                y = bench.leaf("y", {1, 1, 2, 2}, {-1, 0, 1, 2});
  const ValueId basis = bench.leaf("basis", {4, 4}, std::vector<float>(16, 1.0f));
  const ValueId sum =
      bench.graph.emit1("add", {bench.graph.emit1("basis_combine", {x, basis}, {}, "a"),
                                bench.graph.emit1("basis_combine", {y, basis}, {}, "b")});
  expect_near(bench.gradients(sum, {1, 0, 0, 2}, {basis})[0],
              {0, 0, 0, 0, 2, 0, 0, 4, 4, 0, 0, 8, 6, 0, 0, 12});
}

}  // namespace
}  // namespace winnow
