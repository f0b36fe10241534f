// Every op and every example of it, with its gradients, on a device: what the CPU computes, queued, recorded and replayed.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>

#include "core/error.h"
#include "tests/core/op_trial.h"
#include "tests/device/emulated.h"

namespace winnow::test {
namespace {

RunFeed feed_of(std::uint32_t step) {
  return {.seed = 17, .step = step, .update_statistics = false, .learning_rate = 0.1, .update = 3};
}

// An op has the bits of the CPU on the emulated device, but for these, and why. A GPU's own instructions may round any otherwise.
constexpr const char* kLayer =
    "a layer: of a library, or by its definition, on either device with sums in another order";
constexpr const char* kNorm =
    "the CPU sums rows by registers (kernels/cpu/columns.h), devices by lanes (fold_columns.h)";
const std::map<std::string, const char*> kRoundedOtherwise = {
    {"batch_norm", kNorm},
    {"batch_norm_backward", kNorm},
    {"conv2d", kLayer},
    {"conv2d_backward_data", kLayer},
    {"conv2d_backward_weights", kLayer},
    {"linear", kLayer},
    {"linear_backward_data", kLayer},
    {"linear_backward_weights", kLayer},
};
bool may_differ(const Node& node) { return kRoundedOtherwise.contains(node.op); }

bool has_gradient(const OpCase& at) {
  return find_op(at.op).reverse && at.example().gradient != OpExample::Gradient::None;
}

std::vector<std::byte> bytes_of(const Program& program, ValueId value) {
  std::vector<std::byte> bytes(program.view(value).bytes());
  program.read(value, bytes);
  return bytes;
}

// Numbers of a value in the host's memory.
std::vector<double> numbers(std::vector<std::byte>& bytes, TensorView view) {
  view.data = bytes.data();
  return numbers_of(view);
}

void expect_near(const std::vector<double>& expected, const std::vector<double>& found, double tolerance) {
  double scale = 1;
  for (const double value : expected) scale = std::isfinite(value) ? std::max(scale, std::abs(value)) : scale;
  ASSERT_EQ(expected.size(), found.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (std::isnan(expected[i]) && std::isnan(found[i])) continue;
    EXPECT_NEAR(expected[i], found[i], tolerance * scale) << "element " << i;
  }
}

class OnDevice : public testing::TestWithParam<OpCase> {
 protected:
  void compare(Variant variant) {
    OpTrial trial(GetParam(), variant);
    std::vector<ValueId> values = trial.node().out;
    if (has_gradient(GetParam()) && trial.differentiate_functional()) {
      for (const std::size_t i : trial.differentiable()) values.push_back(trial.gradient(i));
    }
    std::erase(values, kNoValue);
    const bool exact = kEmulated && std::ranges::none_of(trial.graph().nodes(), may_differ);
    const double tolerance = variant == Variant::Bf16 ? 0.02 : 1e-5;
    Program on_cpu = trial.compile(values, 1);
    std::vector<std::vector<std::byte>> first;  // of the first order
    in_every_order([&] {
      const RunContext device(open_device(), 1);
      Program program = trial.compile(values, device);
      std::vector<std::vector<std::byte>> all;
      // Queued, recorded, replayed, each with something else to read.
      for (const std::uint32_t step : {5u, 6u, 7u}) {
        on_cpu.run(feed_of(step));
        program.run(feed_of(step));
        for (std::size_t k = 0; k < values.size(); ++k) {
          SCOPED_TRACE(fmt::format("value {}, step {}", k, step));
          auto expected = bytes_of(on_cpu, values[k]), found = bytes_of(program, values[k]);
          if (exact) {
            EXPECT_EQ(expected, found);
          } else {
            const TensorView view = on_cpu.view(values[k]);
            expect_near(numbers(expected, view), numbers(found, view), tolerance);
          }
          all.push_back(std::move(found));
        }
      }
      if (first.empty()) first = all;
      EXPECT_EQ(all, first) << "depends on the order of lanes";
    });
  }
};

TEST_P(OnDevice, ComputesWhatTheCpuDoes) { compare(Variant::Plain); }

class OnDeviceInBf16 : public OnDevice {};
TEST_P(OnDeviceInBf16, ComputesWhatTheCpuDoes) { compare(Variant::Bf16); }

bool takes_bf16(const OpCase& c) {
  return c.example().bf16 && !c.example().in.empty() && c.example().in[0].dtype == DType::F32;
}

std::vector<OpCase> bf16_cases() {
  std::vector<OpCase> cases = all_op_cases();
  std::erase_if(cases, [](const OpCase& c) { return !takes_bf16(c); });
  return cases;
}

std::string name_of_case(const testing::TestParamInfo<OpCase>& at) {
  return at.param.op + "_" + std::to_string(at.param.index);
}

// What a node reads and then what it writes, in f32.
std::vector<std::vector<std::byte>> operands(const OpTrial& trial, const Node& node, RunContext context) {
  std::vector<ValueId> values = node.in;
  values.insert(values.end(), node.out.begin(), node.out.end());
  std::erase(values, kNoValue);
  Program program = trial.compile(values, std::move(context));
  program.run(feed_of(5));
  std::vector<std::vector<std::byte>> all;
  for (const ValueId value : values) all.push_back(bytes_of(program, value));
  return all;
}

// An exception of an op that has the CPU's bits would hide that it has them no more.
TEST(OpTable, OpsThatMayDifferFromTheCpuDo) {
  if (!kEmulated) GTEST_SKIP() << "looks at the emulated device";
  std::set<std::string> differ;
  for (const OpCase& at : all_op_cases()) {
    OpTrial trial(at);
    if (has_gradient(at)) trial.differentiate_functional();
    for (const Node& node : trial.graph().nodes()) {
      if (!may_differ(node) || differ.contains(node.op)) continue;
      const auto reads = std::ranges::count_if(node.in, [](ValueId id) { return id != kNoValue; });
      const auto here = operands(trial, node, RunContext(1)), there = operands(trial, node, {open_device(), 1});
      const bool same_input = std::equal(here.begin(), here.begin() + reads, there.begin());
      if (same_input && here != there) differ.insert(node.op);
    }
  }
  for (const auto& [name, why] : kRoundedOtherwise) {
    EXPECT_TRUE(differ.contains(name)) << name << " is no exception (" << why << ")";
  }
}

// Prints what the suites above and those of tests/core hold each op to. An op without a kernel for the device, or that is in
// no case's graph, its gradient's part included, is not tested at all.
TEST(OpTable, HasEveryOpOnBothDevicesInEveryType) {
  struct Held {
    std::size_t cases = 0, in_bf16 = 0, with_gradient = 0;
  };
  std::map<std::string, Held> held;
  for (const OpCase& at : all_op_cases()) {
    OpTrial trial(at);
    const bool gradient = has_gradient(at) && trial.differentiate_functional();
    std::set<std::string> in_graph;
    for (const Node& node : trial.graph().nodes()) in_graph.insert(node.op);
    for (const std::string& name : in_graph) {
      Held& op = held[name];
      op.cases += 1;
      op.in_bf16 += takes_bf16(at) ? 1 : 0;
      op.with_gradient += gradient ? 1 : 0;
    }
  }
  fmt::print("{:32} {:>5}  {:>11} {:>8}  {:>10} {:>11}\n", "op", "cases", "CPU f32", "CPU bf16", "device f32",
             "device bf16");
  for (const std::string& name : op_names()) {
    const KernelTable& kernel = find_op(name).kernel;
    EXPECT_TRUE(kernel.on(Device::Cpu)) << name;
    EXPECT_TRUE(kernel.on(Device::Cuda)) << name;
    const Held& op = held[name];
    EXPECT_GT(op.cases, 0u) << name;
    const bool bits = !kRoundedOtherwise.contains(name);
    const char* const in_f32 = bits ? "bits" : "1e-5";
    const char* const in_bf16 = op.in_bf16 == 0 ? "-" : bits ? "bits" : "0.02";
    fmt::print("{:32} {:>5}  {:>11} {:>8}  {:>10} {:>11}\n", name, op.cases,
               op.with_gradient > 0 ? "differences" : "values", op.in_bf16 > 0 ? "as f32" : "-", in_f32, in_bf16);
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, OnDevice, testing::ValuesIn(all_op_cases()), name_of_case);
INSTANTIATE_TEST_SUITE_P(Ops, OnDeviceInBf16, testing::ValuesIn(bf16_cases()), name_of_case);

}  // namespace
}  // namespace winnow::test
