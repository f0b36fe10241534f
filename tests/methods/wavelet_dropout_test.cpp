#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include <array>
#include <cmath>

#include "core/error.h"
#include "kernels/cpu/wavelet.h"
#include "kernels/rng.h"
#include "tests/core/run_graph.h"
#include "tests/methods/trial_tools.h"

namespace winnow {
namespace {

using Bands = std::vector<std::int64_t>;

Attrs dropping(const char* variant, double p, const Bands& bands = {1, 2, 3}) {
  return {{"p", p}, {"variant", std::string(variant)}, {"bands", bands}};
}

std::vector<float> counting(int n) {
  std::vector<float> x;
  for (int i = 0; i < n; ++i) x.push_back(static_cast<float>(i));
  return x;
}

std::vector<float> random_values(std::size_t n, std::uint32_t stream) {
  std::vector<float> x(n);
  for (std::size_t i = 0; i < n; ++i) x[i] = normal_at({1, stream, 0}, i);
  return x;
}

// A step at which the node drops exactly the bands whose bit is 0.
std::uint32_t step_with(const char* name, double p, const std::array<bool, 3>& kept, std::uint64_t seed) {
  for (std::uint32_t step = 0;; ++step) {
    bool same = true;
    for (std::size_t i = 0; i < 3; ++i) {
      same &= kept[i] == (uniform_at({seed, stream_id(name), step}, i) >= static_cast<float>(p));
    }
    if (same) return step;
  }
}

TEST(WaveletDropout, LengthsAndFinestBandMatchSpecificationOracle) {
  EXPECT_EQ(wavelet_length(16), 10);
  EXPECT_EQ(wavelet_length(10), 7);
  EXPECT_EQ(wavelet_length(7), 6);
  std::vector<float> low(10), high(10);
  const auto x = counting(16);
  cpu::wavelet_analysis(x.data(), low.data(), high.data(), 1, 16, 1);
  test::expect_near(high, {-.332671f, .155894f, 0, 0, 0, 0, 0, 0, -7.254865f, 1.774787f}, 3e-6);
}

TEST(WaveletDropout, AllBandsKeptIsTheIdentityForAnyLength) {
  for (const char* variant : {"1d", "2d"}) {
    for (const std::int64_t h : {1, 2, 3, 4, 7}) {
      test::Bench bench;
      const std::int64_t w = 2 * h - 1, c = 35;
      const auto values = random_values(static_cast<std::size_t>(2 * h * w * c), 3);
      const ValueId x = bench.leaf("x", {2, h, w, c}, values);
      test::expect_near(bench.eval(bench.graph.emit1("wavelet_dropout", {x}, dropping(variant, 0), "d")), values, 3e-6);
    }
  }
}

TEST(WaveletDropout, OneDimensionalDropMatchesSpecificationOracle) {
  test::Bench bench;
  bench.context.seed = 5;
  bench.context.step = step_with("d", .2, {true, false, true}, 5);
  const ValueId x = bench.leaf("x", {1, 4, 4, 1}, counting(16));
  test::expect_near(bench.eval(bench.graph.emit1("wavelet_dropout", {x}, dropping("1d", .2), "d")),
                    {-.222974f, 1.195648f, 2.229292f, 3.155075f, 4.039497f, 4.815011f, 5.834569f, 6.902552f, 8.059541f,
                     9.302935f, 10.594559f, 11.95662f, 11.550407f, 10.429913f, 11.977901f, 14.139358f},
                    5e-6);
}

TEST(WaveletDropout, TwoDimensionalDropMatchesSpecificationOracle) {
  test::Bench bench;
  bench.context.step = step_with("d", .2, {true, false, true}, 0);
  const ValueId x = bench.leaf("x", {1, 4, 4, 1}, counting(16));
  auto y = bench.eval(bench.graph.emit1("wavelet_dropout", {x}, dropping("2d", .2), "d"));
  y.resize(4);
  test::expect_near(y, {-.658542f, 1.006267f, 1.671349f, 2.14237f}, 5e-6);
}

TEST(WaveletDropout, LayerIsASymmetricMap) {
  for (const char* variant : {"1d", "2d"}) {
    test::Bench bench;
    bench.context.step = step_with("d", .4, {false, true, true}, 0);
    const auto u = random_values(2 * 5 * 6 * 40, 1), v = random_values(2 * 5 * 6 * 40, 2);
    const ValueId x = bench.leaf("u", {2, 5, 6, 40}, u);
    const ValueId y = bench.graph.emit1("wavelet_dropout", {x}, dropping(variant, .4), "d");
    const auto tu = bench.eval(y), tv = bench.gradients(y, v, {x})[0];
    double left = 0, right = 0;
    for (std::size_t i = 0; i < u.size(); ++i) {
      left += static_cast<double>(tu[i]) * v[i];
      right += static_cast<double>(u[i]) * tv[i];
    }
    EXPECT_NEAR(left, right, 1e-3) << variant;
    EXPECT_NE(tu, u);
  }
}

TEST(WaveletDropout, BandsThatAreNotNamedStayAsTheyAre) {
  test::Bench bench;
  bench.context.step = step_with("d", .5, {false, false, true}, 0);  // would drop bands 1 and 2
  const auto values = random_values(32, 4);
  const ValueId x = bench.leaf("x", {1, 8, 4, 1}, values);
  const auto all = bench.eval(bench.graph.emit1("wavelet_dropout", {x}, dropping("1d", .5), "d"));
  const auto third = bench.eval(bench.graph.emit1("wavelet_dropout", {x}, dropping("1d", .5, {3}), "d"));
  const auto none = bench.eval(bench.graph.emit1("wavelet_dropout", {x}, dropping("1d", .5, {}), "d"));
  EXPECT_NE(all, third);
  EXPECT_NE(third, none);
  test::expect_near(none, values);
}

TEST(WaveletDropout, ThreadsDoNotChangeABit) {
  test::Bench bench;
  bench.context.step = step_with("d", .5, {true, false, true}, 0);
  const ValueId x = bench.leaf("x", {7, 6, 5, 70}, random_values(7 * 6 * 5 * 70, 9));
  const ValueId y = bench.graph.emit1("wavelet_dropout", {x}, dropping("1d", .5), "d");
  EXPECT_EQ(bench.eval(y, 1), bench.eval(y, 4));
}

std::vector<std::string> dropped_layers(const test::Pairs& extra, std::vector<std::string>* inputs = nullptr) {
  test::Pairs method = {{"name", "wavelet_dropout"}};
  method.insert(method.end(), extra.begin(), extra.end());
  const Model model = test::edited_model("resnet18", {}, method, {32, 32, 3, 10});
  std::vector<std::string> names;
  for (const NodeId at : model.graph.schedule(std::vector{model.logits})) {
    const Node& node = model.graph.nodes()[at];
    if (node.op != "wavelet_dropout") continue;
    names.push_back(node.name);
    const Node* producer = model.graph.producer(node.in[0]);
    if (inputs != nullptr) inputs->push_back(producer->op);
  }
  std::sort(names.begin(), names.end());
  return names;
}

TEST(WaveletDropout, FollowsEveryConvolutionOfItsModuleAndItsShortcut) {
  std::vector<std::string> inputs;
  EXPECT_EQ(dropped_layers({}, &inputs),
            (std::vector<std::string>{"stage3.block0.conv1.wavelet_dropout", "stage3.block0.conv2.wavelet_dropout",
                                      "stage3.block0.shortcut.conv.wavelet_dropout",
                                      "stage3.block1.conv1.wavelet_dropout", "stage3.block1.conv2.wavelet_dropout"}));
  EXPECT_EQ(inputs, std::vector<std::string>(5, "conv2d"));
}

TEST(WaveletDropout, TwoDimensionalFormPrecedesConvolutionsOnly) {
  std::vector<std::string> inputs;
  EXPECT_EQ(dropped_layers({{"variant", "2d"}, {"modules", "[3, 4]"}}, &inputs).size(), 10u);
  EXPECT_EQ(inputs, std::vector<std::string>(10, "relu"));
  EXPECT_THROW(dropped_layers({{"modules", "[5]"}}), Error);
}

TEST(WaveletDropout, EvaluationIsThePlainNetwork) {
  auto plain = test::residual_trial({{"name", "dense"}});
  auto dropping_trial = test::residual_trial({{"name", "wavelet_dropout"}, {"modules", "[2]"}, {"p", "0.5"}});
  Trainer a = plain.make(), b = dropping_trial.make();
  a.start_phase(0);
  b.start_phase(0);
  EXPECT_EQ(a.evaluate(Split::Test).loss, b.evaluate(Split::Test).loss);
  EXPECT_NE(a.train_step().loss, b.train_step().loss);
}

TEST(WaveletDropout, Learns) {
  for (const char* variant : {"1d", "2d"}) {
    auto trial = test::residual_trial({{"name", "wavelet_dropout"}, {"modules", "[3]"}, {"variant", variant}},
                                      {{"epochs", "8"}});
    Trainer trainer = trial.make();
    EXPECT_FALSE(trainer.run().diverged);
    EXPECT_GT(trainer.evaluate(Split::Test).accuracy, .3) << variant;
  }
}

}  // namespace
}  // namespace winnow
