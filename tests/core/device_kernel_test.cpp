// Kernels for devices that are functors one after the other (`.cuda` of an op) run on the host too, so they are compared here
// with the CPU's own kernels, and layers with their definition in double. What only a device shows is not tested: that
// the code around the functors reads no memory of the device.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/core/device_cases.h"
#include "tests/core/node_run.h"

namespace winnow {
namespace {

using test::DeviceCase;
using test::has_own_kernel;
using test::NodeRun;
using test::numbers_of;
using test::OpTrial;
using test::Variant;
using Numbers = std::vector<std::vector<double>>;

bool is_direct_layer(const std::string& op) { return op.starts_with("conv2d") || op.starts_with("linear"); }
bool is_batch_norm(const std::string& op) { return op.starts_with("batch_norm"); }

RunFeed device_feed(bool update_statistics) {
  RunFeed feed;
  feed.seed = 17;
  feed.step = 5;
  feed.update_statistics = update_statistics;
  return feed;
}

// Largest error in f32 where sums have another order, as a share of the largest number of the tensor, or of 1, which is the
// size of inputs: a mean may be close to zero. Others have none.
double tolerance_of(const std::string& op) { return is_batch_norm(op) ? 4e-6 : is_direct_layer(op) ? 1e-6 : 0.0; }

Numbers numbers(const std::vector<Tensor>& tensors) {
  Numbers all;
  for (const Tensor& tensor : tensors) all.push_back(numbers_of(tensor.view()));
  return all;
}

// NaN and infinity must be where they are expected, and what was to stay as it was has tolerance 0 by itself. `of_first`: others
// are sums over the first one, and no better where that is rounded.
void expect_close(const std::vector<Tensor>& found, const Numbers& expected, double tolerance, bool of_first = false) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t k = 0; k < found.size(); ++k) {
    const std::vector<double> values = numbers_of(found[k].view());
    ASSERT_EQ(values.size(), expected[k].size());
    double scale = 1;
    for (const double e : expected[k]) scale = std::isfinite(e) ? std::max(scale, std::abs(e)) : scale;
    const bool rounded = tolerance > 0 && found[k].view().dtype == DType::BF16;
    if (of_first && k > 0 && found[0].view().dtype == DType::BF16) scale *= std::ldexp(1 / tolerance, -8);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double v = values[i], e = expected[k][i];
      if (v == e || (std::isnan(v) && std::isnan(e))) continue;
      ASSERT_TRUE(std::isfinite(v) && std::isfinite(e)) << "value " << k << ", element " << i << ": " << v << ", " << e;
      ASSERT_LE(std::abs(v - e), tolerance * scale + (rounded ? std::ldexp(std::abs(e), -7) : 0))
          << "value " << k << ", element " << i << ": " << v << ", " << e;
    }
  }
}

void expect_as_expected(const NodeRun& run, const RunFeed& feed) {
  const KernelTable& kernel = find_op(run.node().op).kernel;
  const double tolerance = tolerance_of(run.node().op);
  const NodeRun::Result found = run.run(kernel.cuda, feed);
  if (is_direct_layer(run.node().op)) {
    expect_close(found.out, run.outputs_in_double(), tolerance, true);
    return;
  }
  const NodeRun::Result expected = run.run(kernel.cpu, feed);
  expect_close(found.out, numbers(expected.out), tolerance);
  expect_close(found.in, numbers(expected.in), tolerance);  // running statistics
  EXPECT_EQ(found.status.not_finite, expected.status.not_finite);
}

void expect_right(const NodeRun& run) {
  SCOPED_TRACE("op " + run.node().op);
  const KernelMaker& maker = find_op(run.node().op).kernel.cuda;
  for (const bool update : {false, true}) expect_as_expected(run, device_feed(update));
  const NodeRun::Result once = run.run(maker, device_feed(true));
  EXPECT_TRUE(run.run(maker, device_feed(true), {.threads = 3}) == once) << "the order of a sum changes with threads";
  if (run.can_be_in_place()) {
    EXPECT_TRUE(run.run(maker, device_feed(true), {.in_place = true}) == once) << "differs in place";
  }
}

void expect_right_with_strange_numbers(NodeRun& run) {
  constexpr std::int64_t kSamples = 4;
  for (std::size_t i = 0; i < run.input_count(); ++i) {
    const DType type = run.input(i).view().dtype;
    const auto n = static_cast<std::int64_t>(numbers_of(run.input(i).view()).size()), samples = std::min(n, kSamples);
    if (type != DType::F32 && type != DType::BF16) continue;
    for (std::int64_t s = 0; s < samples; ++s) {
      for (const float strange : {NAN, INFINITY, -INFINITY}) {
        const std::int64_t at = s * n / samples;
        SCOPED_TRACE("op " + run.node().op + ", input " + std::to_string(i) + ", element " + std::to_string(at));
        Tensor kept = run.input(i).clone();
        if (type == DType::BF16) run.input(i).as<bf16>()[at] = from_float<bf16>(strange);
        if (type == DType::F32) run.input(i).as<float>()[at] = strange;
        expect_as_expected(run, device_feed(true));
        run.input(i) = std::move(kept);
      }
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

class DeviceKernel : public testing::TestWithParam<DeviceCase> {
 protected:
  // With the nodes of the gradient.
  std::vector<NodeRun> runs(Variant variant) {
    trials_.push_back(std::make_unique<OpTrial>(GetParam().op, GetParam().example, variant));
    return test::node_runs(*trials_.back(), device_feed(false), has_own_kernel);
  }
  static std::vector<Variant> variants() {
    const bool both = GetParam().example.bf16 || GetParam().op == "haste_conv2d";
    return both ? std::vector{Variant::Plain, Variant::Bf16} : std::vector{Variant::Plain};
  }

 private:
  std::vector<std::unique_ptr<OpTrial>> trials_;
};

TEST_P(DeviceKernel, GivesWhatTheCpuGives) {
  for (const Variant variant : variants()) {
    const std::vector<NodeRun> all = runs(variant);
    ASSERT_FALSE(all.empty());
    for (const NodeRun& run : all) expect_right(run);
  }
}

TEST_P(DeviceKernel, KeepsNaNAndInfinity) {
  for (const Variant variant : variants()) {
    for (NodeRun& run : runs(variant)) {
      // The reference of layers leaves out products with zero, which a ReLU puts among gradients.
      const bool skips = is_direct_layer(run.node().op) && std::ranges::count(numbers_of(run.input(0).view()), 0.0) > 0;
      if (run.input(0).numel() < 20000 && !skips) expect_right_with_strange_numbers(run);
    }
  }
}

std::string name_of_device_case(const testing::TestParamInfo<DeviceCase>& info) {
  return info.param.op + "_" + std::to_string(info.index);
}
INSTANTIATE_TEST_SUITE_P(Ops, DeviceKernel, testing::ValuesIn(test::device_cases()), name_of_device_case);

TEST(DeviceKernels, OptionalInputsOfBatchNormMayBeAbsent) {
  for (const bool relu : {false, true}) {
    const DeviceCase c = test::norm_case({40, 17}, false, relu, false);
    OpTrial trial(c.op, c.example);
    for (NodeRun& run : test::node_runs(trial, device_feed(false), has_own_kernel)) {
      const bool forward = run.node().op == "batch_norm";
      for (const std::size_t i : {forward ? 1u : 3u, forward ? 2u : 4u}) run.leave_out(i);
      expect_right(run);
    }
  }
}

// What fuse_gradient_sums() makes of it: dy in two parts, a summand of dx, or both.
TEST(DeviceKernels, GradientsOfBatchNormTakeSummands) {
  const DeviceCase cases[] = {test::norm_case({40, 17}, false, false, false),
                              test::norm_case({40, 8}, false, true, false),
                              test::norm_case({900, 4}, false, true, true)};
  for (const DeviceCase& c : cases) {
    OpTrial trial(c.op, c.example);
    for (const NodeRun& run : test::node_runs(trial, device_feed(false), has_own_kernel)) {
      if (run.node().op != "batch_norm_backward") continue;
      for (const auto& [more, plus] : {std::pair(true, false), std::pair(false, true), std::pair(true, true)}) {
        std::vector<ValueInfo> infos;
        std::vector<Tensor> in;
        for (std::size_t i = 0; i < run.input_count(); ++i) {
          infos.push_back(run.input_info(i));
          in.push_back(infos[i].shape.rank() == 0 ? Tensor{} : run.input(i).clone());
        }
        for (const bool given : {more, plus}) {
          infos.push_back(given ? run.input_info(1) : ValueInfo{});
          in.push_back(given ? run.input(1).clone() : Tensor{});
          if (given && more) in.back().as<float>()[3] = 0.75f;
        }
        Node node = run.node();
        node.in.resize(infos.size(), kNoValue);
        const std::vector<ValueInfo> out = find_op(node.op).infer(infos, node.attrs);
        expect_right(NodeRun(node, std::move(infos), out, std::move(in)));
      }
    }
  }
}

TEST(DeviceKernels, BandsAreDrawnAnewAtEveryStepAndAsOnTheCpu) {
  const DeviceCase c = test::wavelet_case({1, 8, 8, 3}, "2d", {1, 2, 3});
  OpTrial trial(c.op, c.example);
  const std::vector<NodeRun> runs = test::node_runs(trial, device_feed(false), has_own_kernel);
  for (RunFeed feed = device_feed(false); feed.step < 20; ++feed.step) expect_as_expected(runs.at(0), feed);
}

// Scores with many ties, zeros of both signs, infinities and NaN; as many as make one chunk, several, and several to fold.
TEST(DeviceKernels, ScoreMasksHaveTheTieRuleOfTheCpu) {
  for (const std::int64_t n : {1, 2, 511, 513, 5000, 2200000}) {
    for (const double density : {1.0, 0.9999, 0.5, 0.031, 1e-9}) {
      const DeviceCase c{"score_mask", {.label = "more", .in = {{{n}}, {{n}}}, .attrs = {{"density", density}}}};
      OpTrial trial(c.op, c.example);
      for (const int kinds : {0, 3, 40}) {
        if (n > 10000 && (kinds != 3 || density != 0.5)) continue;
        auto* score = trial.input(1).as<float>();
        const float strange[] = {0.0f, -0.0f, NAN, -NAN, INFINITY, -INFINITY, 1e-42f, -1.5f};
        for (std::int64_t i = 0; kinds > 0 && i < n; ++i) {
          const std::int64_t kind = i * 7919 % 1009 % (kinds + 8);
          score[i] = kind < 8 ? strange[kind] : static_cast<float>(kind % 2 == 0 ? kind : -kind) / 16;
        }
        SCOPED_TRACE(testing::Message() << n << " scores, density " << density << ", kinds " << kinds);
        for (const NodeRun& run : test::node_runs(trial, device_feed(false), has_own_kernel)) {
          EXPECT_TRUE(run.run(find_op(c.op).kernel.cuda, device_feed(false)) ==
                      run.run(find_op(c.op).kernel.cpu, device_feed(false)));
        }
      }
    }
  }
}

TEST(DeviceKernels, StatisticsThatAreNotFiniteAreMarked) {
  const DeviceCase c = test::norm_case({40, 3}, false, false, false);
  OpTrial trial(c.op, c.example);
  std::vector<NodeRun> runs = test::node_runs(trial, device_feed(false), has_own_kernel);
  NodeRun& run = runs.at(0);
  const KernelMaker& maker = find_op(c.op).kernel.cuda;
  EXPECT_EQ(run.run(maker, device_feed(true)).status.not_finite, 0u);
  run.input(0).as<float>()[50] = INFINITY;
  EXPECT_EQ(run.run(maker, device_feed(false)).status.not_finite, 0u) << "statistics that are not updated are finite";
  const RunStatus status = run.run(maker, device_feed(true)).status;
  EXPECT_EQ(status.not_finite, 1u);
  EXPECT_EQ(status.since, 5u);
}

// Every op that runs at all runs on CUDA.
TEST(DeviceKernels, EveryOpHasOne) {
  for (const std::string& name : op_names()) {
    if (name.starts_with("test_of_")) continue;  // of program_test.cpp, where it has run before
    const KernelTable& kernel = find_op(name).kernel;
    EXPECT_TRUE(!kernel.on(Device::Cpu) || kernel.on(Device::Cuda)) << "op '" << name << "' has no kernel for CUDA";
  }
}

}  // namespace
}  // namespace winnow
