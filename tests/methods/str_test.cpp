#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/core/run_graph.h"
#include "tests/methods/trial_tools.h"
#include "tests/training/whole_trial.h"

namespace winnow {
namespace {

// The weight of a layer and its derivatives to v and s, as the method's edit makes them.
struct Derived {
  std::vector<float> threshold, w, dv, ds;
};
Derived derived(const char* function, const std::vector<float>& v, float s, const std::vector<float>& g) {
  test::Bench bench;
  const ValueId leaf = bench.leaf("v", {static_cast<std::int64_t>(v.size())}, v), number = bench.leaf("s", {1}, {s});
  const ValueId threshold = bench.graph.emit1(function, {number}, {}, "threshold");
  const ValueId w = bench.graph.emit1("soft_threshold", {leaf, threshold}, {}, "w");
  Derived found{bench.eval(threshold), bench.eval(w), {}, {}};
  const auto grads = bench.gradients(w, g, {leaf, number});
  found.dv = grads[0];
  found.ds = grads[1];
  return found;
}

TEST(Str, ValuesAndGradientsMatchSpecificationOracle) {
  const Derived found = derived("sigmoid", {.5f, -.3f, .1f, -.05f}, -1.5f, {1, 2, 3, 4});
  test::expect_near(found.threshold, {.182426f});
  test::expect_near(found.w, {.317574f, -.117574f, 0, 0});
  test::expect_near(found.dv, {1, 2, 0, 0});
  test::expect_near(found.ds, {.149146f});
}

// t = e^s, so dt/ds is t: -t * (1 - 2).
TEST(Str, TheExponentialIsAThresholdToo) {
  const Derived found = derived("exp", {.5f, -.3f, .1f, -.05f}, -2, {1, 2, 3, 4});
  test::expect_near(found.threshold, {.1353353f});
  test::expect_near(found.w, {.3646647f, -.1646647f, 0, 0});
  test::expect_near(found.dv, {1, 2, 0, 0});
  test::expect_near(found.ds, {.1353353f});
}

TEST(Str, AtThePublishedStartTheThresholdIsExactlyZeroAndHasNoGradient) {
  const std::vector<float> v{.5f, -.3f, 1e-30f, -.05f};
  for (const char* function : {"sigmoid", "exp"}) {
    for (const float s : {-3200.0f, -104.0f}) {
      const Derived found = derived(function, v, s, {1, 2, 3, 4});
      EXPECT_EQ(found.threshold, std::vector<float>{0}) << function << " of " << s;
      EXPECT_EQ(found.w, v);
      EXPECT_EQ(found.dv, (std::vector<float>{1, 2, 3, 4}));
      EXPECT_EQ(found.ds, std::vector<float>{0});
    }
  }
}

// Weight decay alone moves s towards zero: s * (1 - lr * wd) at every step without momentum. Until that has opened a
// threshold the network is the dense one, bit for bit.
TEST(Str, DecayMovesTheThresholdFirstAndTheRestTrainsAsWithoutIt) {
  const test::Pairs train{{"momentum", "0"}, {"lr", "0.05"}, {"weight_decay", "0.1"}};
  test::SmallTrial dense("lenet300", {{"name", "dense"}}, train);
  for (const auto& [decay, rate] : {std::pair{"1", "1"}, std::pair{"3", "2"}, std::pair{"0", "1"}}) {
    test::SmallTrial own("lenet300", {{"name", "str"}, {"decay", decay}, {"rate", rate}}, train);
    Trainer with = own.make(), without = dense.make();
    with.start_phase(0);
    without.start_phase(0);
    float s = -3200;
    for (int i = 0; i < 10; ++i) {
      with.train_step();
      without.train_step();
      const float g = static_cast<float>(0.1 * std::stod(decay)) * s;
      s -= static_cast<float>(0.05 * std::stod(rate)) * g;
    }
    EXPECT_EQ(test::copy_of(with, "fc2.threshold"), std::vector<float>{s});
    EXPECT_EQ(test::copy_of(with, "fc1.weight"), test::copy_of(without, "fc1.weight"));
    EXPECT_EQ(test::copy_of(with, "fc3.bias"), test::copy_of(without, "fc3.bias"));
  }
}

// The zeros that the threshold makes are what the file and the summary have, with no mask behind them.
TEST(Str, ZerosOfTheThresholdAreCountedAndStored) {
  const TrialResult result =
      test::result_of("{name: str, start: -2}", "epochs: 4, batch: 32, lr: 0.05, precision: f32, weight_decay: 1e-4");
  ASSERT_EQ(result.outcome, Outcome::Done) << result.reason;
  std::int64_t nonzero = 0, all = 0;
  for (const WeightRecord& record : result.weights) {
    if (!record.prunable) continue;
    ASSERT_EQ(record.keep.size(), record.values.size()) << record.name;
    for (std::size_t i = 0; i < record.values.size(); ++i) ASSERT_EQ(record.keep[i] != 0, record.values[i] != 0);
    nonzero += std::ranges::count(record.keep, 1);
    all += std::ssize(record.keep);
  }
  const auto value = [&](const char* name) { return result.summary.at(name); };
  EXPECT_GT(nonzero, all / 100);
  EXPECT_LT(nonzero, all / 2) << "a threshold of 0.12 cuts off most of these weights";
  EXPECT_EQ(value("density"), static_cast<double>(nonzero) / static_cast<double>(all));
  const double dense_part = value("params.total") - value("params.prunable");
  EXPECT_EQ(value("params.kept"), static_cast<double>(nonzero) + dense_part) << "thresholds are not stored";
  EXPECT_LT(value("flops.train_ratio"), 0.6) << "a step costs what its non-zero weights cost";
  EXPECT_GT(value("flops.train_ratio"), value("density") / 2);
  EXPECT_GT(value("method.threshold_max"), 0.1);
  EXPECT_GE(value("method.threshold_max"), value("method.threshold_min"));
}

// Strong decay of s opens the threshold by itself, from a start at which nothing is zero.
TEST(Str, SparsityComesOfDecay) {
  std::vector<double> densities;
  for (const char* decay : {"0", "100"}) {
    const TrialResult result = test::result_of("{name: str, start: -100, decay: " + std::string(decay) + "}",
                                               "epochs: 8, batch: 32, lr: 0.05, precision: f32, weight_decay: 1e-3");
    densities.push_back(result.summary.at("density"));
  }
  EXPECT_EQ(densities[0], 1);
  EXPECT_LT(densities[1], 0.95);
}

TEST(Str, MasksOfAnotherMethodHoldBelowTheThreshold) {
  const TrialResult result = test::result_of("{name: magnitude, density: 0.2, with: {str: {start: -4}}}",
                                             "epochs: 4, batch: 32, lr: 0.05, precision: f32");
  ASSERT_EQ(result.outcome, Outcome::Done) << result.reason;
  EXPECT_LT(result.summary.at("density"), 0.2);
  EXPECT_GT(result.summary.at("density"), 0.05);
}

}  // namespace
}  // namespace winnow
