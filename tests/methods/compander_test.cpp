#include <gtest/gtest.h>

#include <cmath>

#include "op_bench.h"

namespace winnow {
namespace {

Attrs companding(const char* function, double a, double b) {
  return {{"function", std::string(function)}, {"a", a}, {"b", b}};
}

TEST(Compander, ValuesAndSlopesMatchSpecificationOracle) {
  OpBench bench;
  const ValueId v = bench.leaf("v", {3}, {.0602008f, -.3277815f, 1.5432910f});
  const ValueId w =
      bench.graph.emit1("compander", {v, kNoValue, kNoValue}, companding("arctan", 1, .6), "w");
  expect_near(bench.value(w), {.1f, -.5f, 1.2f});
  expect_near(bench.gradients(w, {1, 1, 1}, {v})[0], {1.6500555f, 1.2835853f, .2188384f});
}

TEST(Compander, LearnedCoefficientsHaveTheDerivativesOfTheSpecification) {
  OpBench bench;
  const ValueId v = bench.leaf("v", {1}, {-3}), a = bench.leaf("a", {1}, {.5f}),
                b = bench.leaf("b", {1}, {1});
  const ValueId w = bench.graph.emit1("compander", {v, a, b}, companding("arctan", 0, 0), "w");
  expect_near(bench.value(w), {-.6245229f});
  const auto grads = bench.gradients(w, {1}, {v, a, b});
  expect_near(grads[0], {.05f});
  expect_near(grads[1], {-1.2490458f});
  expect_near(grads[2], {.15f});
}

TEST(Compander, AlternativeFunctionsHaveTheirDerivatives) {
  for (const auto& [function, slope] :
       {std::pair{"arsinh", .7 / std::sqrt(.3 * .3 + .9 * .9)},
        std::pair{"erf", 2 * .7 / (.9 * std::sqrt(M_PI)) * std::exp(-.3 * .3 / (.9 * .9))}}) {
    OpBench bench;
    const ValueId v = bench.leaf("v", {1}, {.3f});
    const ValueId w =
        bench.graph.emit1("compander", {v, kNoValue, kNoValue}, companding(function, .7, .9), "w");
    expect_near(bench.gradients(w, {1}, {v})[0], {static_cast<float>(slope)});
  }
}

}  // namespace
}  // namespace winnow
