#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "tests/methods/op_bench.h"
#include "tests/methods/trial_tools.h"

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

TEST(Compander, StepOnTheLatentWeightMatchesSpecificationOracle) {
  // One SGD step of a layer whose gradient is dL/dw = .5, checked on the formula the trainer uses:
  // v -> v - lr * (dL/dw + wd * w) * dw/dv.
  OpBench bench;
  const ValueId v = bench.leaf("v", {1}, {.0602008f});
  const ValueId w =
      bench.graph.emit1("compander", {v, kNoValue, kNoValue}, companding("arctan", 1, .6), "w");
  const float g = bench.gradients(w, {.5f + .01f * .1f}, {v})[0][0];
  EXPECT_NEAR(g, .8266778f, 2e-6);
  OpBench after;
  const ValueId moved = after.leaf("v", {1}, {.0602008f - .1f * g});
  expect_near(after.value(after.graph.emit1("compander", {moved, kNoValue, kNoValue},
                                            companding("arctan", 1, .6), "w")),
              {-.0374275f});
}

TEST(Compander, NetworkStartsAsItWouldWithoutTheMethod) {
  for (const char* function : {"arctan", "arsinh", "erf"}) {
    auto plain = test::residual_trial({{"name", "dense"}});
    auto companded = test::residual_trial({{"name", "compander"}, {"function", function}});
    Trainer a = plain.make(), b = companded.make();
    a.start_phase(0);
    b.start_phase(0);
    const auto wa = a.effective_weights(), wb = b.effective_weights();
    ASSERT_EQ(wa.size(), wb.size());
    for (std::size_t i = 0; i < wa.size(); ++i)
      EXPECT_LT(test::largest_difference(wa[i].values, wb[i].values), 2e-6);
    EXPECT_NE(test::copy_of(a, "conv1.weight"), test::copy_of(b, "conv1.weight"));
  }
}

TEST(Compander, DecayActsOnTheEffectiveWeight) {
  auto with =
      test::residual_trial({{"name", "compander"}}, {{"weight_decay", "0.1"}, {"momentum", "0"}});
  auto without =
      test::residual_trial({{"name", "compander"}}, {{"weight_decay", "0"}, {"momentum", "0"}});
  Trainer a = with.make(), b = without.make();
  a.start_phase(0);
  b.start_phase(0);
  const auto v = test::copy_of(a, "conv1.weight"), w = a.effective_weights()[0].values;
  const double lr = a.learning_rate();
  a.train_step();
  b.train_step();
  const auto va = test::copy_of(a, "conv1.weight"), vb = test::copy_of(b, "conv1.weight");
  for (std::size_t i = 0; i < v.size(); ++i) {
    const double slope =
        1.0 * .6 / (.6 * .6 + static_cast<double>(v[i]) * static_cast<double>(v[i]));
    EXPECT_NEAR(static_cast<double>(va[i]) - static_cast<double>(vb[i]),
                -lr * .1 * static_cast<double>(w[i]) * slope, 1e-6);
  }
}

void expect_learning(const std::string& coefficients, const std::string& a, const std::string& b) {
  auto trial = test::residual_trial(
      {{"name", "compander"}, {"coefficients", coefficients}, {"a", a}, {"b", b}},
      {{"epochs", "8"}, {"weight_decay", "1e-4"}});
  Trainer trainer = trial.make();
  EXPECT_FALSE(trainer.run().diverged);
  EXPECT_GT(trainer.evaluate(Split::Test).accuracy, .3) << coefficients;
  Facts facts;
  trial.method().report(trainer, facts);
  if (coefficients == "fixed") {
    EXPECT_TRUE(facts.empty());
    for (const auto& layer : trainer.effective_weights()) {
      for (const float w : layer.values) ASSERT_LT(std::fabs(w), std::stof(a) * 1.5707964f);
    }
  } else {
    EXPECT_NE(facts.at("method.a_max"), std::stod(a));
    EXPECT_EQ(facts.at("method.a_min") == facts.at("method.a_max"), coefficients == "coarse");
    EXPECT_GE(facts.at("method.b_min"), 1e-3);
  }
}

TEST(Compander, LearnsAndKeepsWeightsInTheirRange) { expect_learning("fixed", "0.6", "0.6"); }
TEST(Compander, LearnsWithOnePairOfCoefficients) { expect_learning("coarse", "0.5", "1"); }
TEST(Compander, LearnsWithCoefficientsOfEachLayer) { expect_learning("fine", "0.5", "1"); }

TEST(Compander, AdaptiveOptimizersAreRefused) {
  EXPECT_THROW(test::residual_trial({{"name", "compander"}}, {{"optimizer", "adam"}}).make(),
               Error);
}

}  // namespace
}  // namespace winnow
