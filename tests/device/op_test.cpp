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

// Has every node one definition for all devices? Then sums are taken in one order as well.
bool one_definition(OpTrial& trial) {
  return std::ranges::all_of(trial.graph().nodes(), [](const Node& node) { return bool{find_op(node.op).kernel.any}; });
}

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
    const bool exact = kEmulated && one_definition(trial);
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
    const char* const in_f32 = kernel.any ? "bits" : "1e-5";
    const char* const in_bf16 = op.in_bf16 == 0 ? "-" : kernel.any ? "bits" : "0.02";
    fmt::print("{:32} {:>5}  {:>11} {:>8}  {:>10} {:>11}\n", name, op.cases,
               op.with_gradient > 0 ? "differences" : "values", op.in_bf16 > 0 ? "as f32" : "-", in_f32, in_bf16);
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, OnDevice, testing::ValuesIn(all_op_cases()), name_of_case);
INSTANTIATE_TEST_SUITE_P(Ops, OnDeviceInBf16, testing::ValuesIn(bf16_cases()), name_of_case);

}  // namespace
}  // namespace winnow::test
