#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "experiments/accounting/accounting.h"
#include "experiments/methods/toolkit/mask_tools.h"
#include "tests/core/run_graph.h"
#include "tests/methods/trial_tools.h"

namespace winnow {
namespace {

Attrs companding(const char* function, double a, double b) {
  return {{"function", std::string(function)}, {"a", a}, {"b", b}};
}

TEST(Compander, ValuesAndSlopesMatchSpecificationOracle) {
  test::Bench bench;
  const ValueId v = bench.leaf("v", {3}, {.0602008f, -.3277815f, 1.5432910f});
  const ValueId w = bench.graph.emit1("compander", {v, kNoValue, kNoValue}, companding("arctan", 1, .6), "w");
  test::expect_near(bench.eval(w), {.1f, -.5f, 1.2f});
  test::expect_near(bench.gradients(w, {1, 1, 1}, {v})[0], {1.6500555f, 1.2835853f, .2188384f});
}

TEST(Compander, LearnedCoefficientsHaveTheDerivativesOfTheSpecification) {
  test::Bench bench;
  const ValueId v = bench.leaf("v", {1}, {-3}), a = bench.leaf("a", {1}, {.5f}), b = bench.leaf("b", {1}, {1});
  const ValueId w = bench.graph.emit1("compander", {v, a, b}, companding("arctan", 0, 0), "w");
  test::expect_near(bench.eval(w), {-.6245229f});
  const auto grads = bench.gradients(w, {1}, {v, a, b});
  test::expect_near(grads[0], {.05f});
  test::expect_near(grads[1], {-1.2490458f});
  test::expect_near(grads[2], {.15f});
}

TEST(Compander, AlternativeFunctionsHaveTheirDerivatives) {
  for (const auto& [function, slope] :
       {std::pair{"arsinh", .7 / std::sqrt(.3 * .3 + .9 * .9)},
        std::pair{"erf", 2 * .7 / (.9 * std::sqrt(M_PI)) * std::exp(-.3 * .3 / (.9 * .9))}}) {
    test::Bench bench;
    const ValueId v = bench.leaf("v", {1}, {.3f});
    const ValueId w = bench.graph.emit1("compander", {v, kNoValue, kNoValue}, companding(function, .7, .9), "w");
    test::expect_near(bench.gradients(w, {1}, {v})[0], {static_cast<float>(slope)});
  }
}

TEST(Compander, StepOnTheLatentWeightMatchesSpecificationOracle) {
  // One SGD step of a layer whose gradient is dL/dw = .5, checked on the formula the trainer uses:
  // v -> v - lr * (dL/dw + wd * w) * dw/dv.
  test::Bench bench;
  const ValueId v = bench.leaf("v", {1}, {.0602008f});
  const ValueId w = bench.graph.emit1("compander", {v, kNoValue, kNoValue}, companding("arctan", 1, .6), "w");
  const float g = bench.gradients(w, {.5f + .01f * .1f}, {v})[0][0];
  EXPECT_NEAR(g, .8266778f, 2e-6);
  EXPECT_NEAR(.0602008f - .1f * g, -.0224670f, 1e-6);
  test::Bench after;
  const ValueId moved = after.leaf("v", {1}, {.0602008f - .1f * g});
  test::expect_near(
      after.eval(after.graph.emit1("compander", {moved, kNoValue, kNoValue}, companding("arctan", 1, .6), "w")),
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
    for (std::size_t i = 0; i < wa.size(); ++i) EXPECT_LT(test::largest_difference(wa[i].values, wb[i].values), 2e-6);
    EXPECT_NE(test::copy_of(a, "conv1.weight"), test::copy_of(b, "conv1.weight"));
  }
}

// A result file holds the merged weights, and a and b where they were learned.
TEST(Compander, AStartFileWithLearnedCoefficientsGoesOnWhereItEnded) {
  const test::Pairs method = {{"name", "compander"}, {"coefficients", "fine"}, {"a", "1"}, {"b", "0.6"}};
  auto first = test::residual_trial(method), second = test::residual_trial(method);
  Trainer a = first.make();
  a.start_phase(0);
  for (int step = 0; step < 3; ++step) a.train_step();
  for (const ParamSpec& spec : a.params().specs()) second.start[spec.name] = test::copy_of(a, spec.name);
  for (auto& layer : a.effective_weights()) second.start[layer.layer + ".weight"] = layer.values;
  EXPECT_NE(second.start.at("fc.compander_a")[0], 1.0f);
  Trainer b = second.make();
  b.start_phase(0);
  const auto wa = a.effective_weights(), wb = b.effective_weights();
  for (std::size_t i = 0; i < wa.size(); ++i)
    EXPECT_LT(test::largest_difference(wa[i].values, wb[i].values), 2e-6) << wa[i].layer;
  for (const ParamSpec& spec : a.params().specs())
    EXPECT_LT(test::largest_difference(test::copy_of(a, spec.name), test::copy_of(b, spec.name)), 1e-5) << spec.name;
}

TEST(Compander, MagnitudesAreThoseOfTheWeightsTheLayersUse) {
  test::SmallTrial trial("lenet300", {{"name", "compander"}, {"coefficients", "fine"}});
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  trainer.params().change(test::named(trainer, "fc2.compander_a"))[0] = 100;
  const auto effective = trainer.effective_weights();
  const std::vector<Scores> scores = magnitudes(trainer, pruned_tensors(trainer));
  ASSERT_EQ(scores.size(), effective.size());
  for (std::size_t t = 0; t < scores.size(); ++t) {
    for (std::size_t i = 0; i < scores[t].size(); ++i) ASSERT_EQ(scores[t][i], std::fabs(effective[t].values[i]));
  }
  EXPECT_GT(*std::ranges::max_element(scores[1]), 5);
}

TEST(Compander, LearnedCoefficientsAreNotStoredBesideTheMergedWeights) {
  for (const char* coefficients : {"fixed", "coarse", "fine"}) {
    test::SmallTrial trial("lenet300", {{"name", "compander"}, {"coefficients", coefficients}});
    test::SmallTrial plain("lenet300");
    Trainer trainer = trial.make(), dense = plain.make();
    trainer.start_phase(0);
    const Accounting counted = account(dense.model(), trainer.model(), trainer.params(), trainer.effective_weights());
    EXPECT_EQ(counted.summary.at("params.kept"), 266610) << coefficients;
  }
}

TEST(Compander, DecayActsOnTheEffectiveWeight) {
  auto with = test::residual_trial({{"name", "compander"}}, {{"weight_decay", "0.1"}, {"momentum", "0"}});
  auto without = test::residual_trial({{"name", "compander"}}, {{"weight_decay", "0"}, {"momentum", "0"}});
  Trainer a = with.make(), b = without.make();
  a.start_phase(0);
  b.start_phase(0);
  const auto v = test::copy_of(a, "conv1.weight"), w = a.effective_weights()[0].values;
  const double lr = a.learning_rate();
  a.train_step();
  b.train_step();
  const auto va = test::copy_of(a, "conv1.weight"), vb = test::copy_of(b, "conv1.weight");
  for (std::size_t i = 0; i < v.size(); ++i) {
    const double slope = 1.0 * .6 / (.6 * .6 + static_cast<double>(v[i]) * static_cast<double>(v[i]));
    EXPECT_NEAR(static_cast<double>(va[i]) - static_cast<double>(vb[i]), -lr * .1 * static_cast<double>(w[i]) * slope,
                1e-6);
  }
}

TEST(Compander, AdamStepsAsInWAndIsScaledByTheSlope) {
  // A large epsilon keeps the step continuous where gradients change their sign.
  const test::Pairs adam = {{"optimizer", "adam"}, {"lr", "1e-3"}, {"eps", "1e-2"}, {"weight_decay", "0.1"}};
  auto plain = test::residual_trial({{"name", "dense"}}, adam);
  auto companded = test::residual_trial({{"name", "compander"}}, adam);
  Trainer a = plain.make(), b = companded.make();
  a.start_phase(0);
  b.start_phase(0);
  const auto w = test::copy_of(a, "conv1.weight"), v = test::copy_of(b, "conv1.weight");
  a.train_step();
  b.train_step();
  const auto now_w = test::copy_of(a, "conv1.weight"), now_v = test::copy_of(b, "conv1.weight");
  EXPECT_GT(test::largest_difference(w, now_w), 5e-4);
  for (std::size_t i = 0; i < v.size(); ++i) {
    const double at = static_cast<double>(v[i]), slope = .6 / (.36 + at * at);
    EXPECT_NEAR(static_cast<double>(now_v[i]) - at, slope * (static_cast<double>(now_w[i]) - static_cast<double>(w[i])),
                2e-6);
  }
}

// From the step of plain gradient descent, whose rule is known, follows the gradient in v.
TEST(Compander, FirstStepOfAdamFollowsFromTheGradientInV) {
  constexpr double kRate = .05, kEpsilon = .5;
  for (const char* coefficients : {"fixed", "coarse", "fine"}) {
    const test::Pairs method = {{"name", "compander"}, {"coefficients", coefficients}};
    const auto stepped = [&](const char* optimizer, std::vector<float>& start) {
      auto trial = test::residual_trial(
          method, {{"optimizer", optimizer}, {"momentum", "0"}, {"eps", "0.5"}, {"weight_decay", "0.1"}});
      Trainer trainer = trial.make();
      trainer.start_phase(0);
      start = test::copy_of(trainer, "conv1.weight");
      trainer.train_step();
      return test::copy_of(trainer, "conv1.weight");
    };
    std::vector<float> start;
    const auto sgd = stepped("sgd", start), adam = stepped("adam", start);
    for (std::size_t i = 0; i < start.size(); ++i) {
      const double v = static_cast<double>(start[i]), slope = .6 / (.36 + v * v);
      const double in_w = (v - static_cast<double>(sgd[i])) / kRate / slope;
      EXPECT_NEAR(v - static_cast<double>(adam[i]), slope * kRate * in_w / (std::fabs(in_w) + kEpsilon), 2e-6)
          << coefficients;
    }
    EXPECT_GT(test::largest_difference(sgd, adam), 1e-4);
  }
}

// To the bit what it was when the host added it.
TEST(Compander, ADecayIsThatOfItsFormulaBitForBit) {
  constexpr float kRate = .1f, kA = .7f, kB = .6f;
  for (const char* function : {"arctan", "arsinh", "erf"}) {
    const std::vector<float> v{-2.5f, -.3f, 0, 1e-4f, .8f}, gradient{.1f, -.2f, .3f, -.4f, .5f};
    test::Bench bench;
    const ValueId leaf = bench.leaf("v", {5}, v), g = bench.leaf("g", {5}, gradient);
    Attrs attrs = companding(function, kA, kB);
    attrs.set("rate", kRate);
    const auto found = bench.eval(bench.graph.emit1("compander_decay", {g, leaf, kNoValue, kNoValue}, attrs, "decay"));
    for (std::size_t i = 0; i < v.size(); ++i) {
      const float u = v[i] / kB;
      const std::string name = function;
      const float f = name == "arctan" ? std::atan(u) : name == "arsinh" ? std::asinh(u) : std::erf(u);
      const float slope = name == "arctan"   ? 1.0f / (1.0f + u * u)
                          : name == "arsinh" ? 1.0f / std::sqrt(1.0f + u * u)
                                             : 1.1283791670955126f * std::exp(-u * u);
      EXPECT_EQ(found[i], gradient[i] + kRate * kA * f * (kA / kB) * slope) << function << " of " << v[i];
    }
  }
}

TEST(Compander, PrunedWeightsStayInertUnderAdam) {
  auto trial = test::residual_trial({{"name", "snip"}, {"density", "0.2"}, {"with.compander", "on"}},
                                    {{"optimizer", "adam"}, {"lr", "1e-3"}, {"weight_decay", "1e-4"}});
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  for (int step = 0; step < 5; ++step) trainer.train_step();
  const ParamId id = test::named(trainer, "stage1.block0.conv1.weight");
  const auto keep = trainer.params().mask(id, MaskKind::Keep);
  ASSERT_FALSE(keep.empty());
  for (std::size_t i = 0; i < keep.size(); ++i) {
    ASSERT_EQ(trainer.params().weight(id)[i] != 0, keep[i] != 0);
    ASSERT_EQ(trainer.params().slot(id, 1)[i] != 0, keep[i] != 0);
  }
}

void expect_learning(const std::string& coefficients, const std::string& a, const std::string& b,
                     const test::Pairs& optimizer = {}) {
  test::Pairs train = {{"epochs", "8"}, {"weight_decay", "1e-4"}};
  train.insert(train.end(), optimizer.begin(), optimizer.end());
  auto trial = test::residual_trial({{"name", "compander"}, {"coefficients", coefficients}, {"a", a}, {"b", b}}, train);
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

TEST(Compander, LearnsWithAdam) {
  const test::Pairs adam = {{"optimizer", "adam"}, {"lr", "2e-3"}};
  expect_learning("fixed", "0.6", "0.6", adam);
  expect_learning("fine", "0.5", "1", adam);
}

TEST(Compander, DecoupledDecayIsRefused) {
  EXPECT_THROW(test::residual_trial({{"name", "compander"}}, {{"optimizer", "adamw"}}).make(), Error);
}

}  // namespace
}  // namespace winnow
