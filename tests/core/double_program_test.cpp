// The reference in double precision and the kernels agree: every op that has both, on its own examples, forward and
// reverse. What single precision cannot tell apart is checked by numbers worked out here.
#include "core/double_program.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/autodiff.h"
#include "core/error.h"
#include "core/op.h"
#include "core/program.h"
#include "kernels/rng.h"

namespace winnow {
namespace {

// An op's example as a graph whose loss is a weighted sum of output 0, and the leaves' values.
struct Example {
  Graph graph;
  std::vector<ValueId> leaves, outputs;
  std::vector<Tensor> values;
};

bool in_f32(const OpExample& example) {
  return std::ranges::all_of(example.in, [](const ValueInfo& info) { return info.dtype != DType::BF16; });
}

Tensor random_values(const ValueInfo& info, const OpExample& example, std::uint32_t stream) {
  Tensor tensor(info.dtype, info.shape);
  const RngKey key{7, stream, 0};
  for (std::int64_t i = 0; i < info.shape.numel(); ++i) {
    if (info.dtype == DType::I32) {
      tensor.as<std::int32_t>()[i] = static_cast<std::int32_t>(i % 3);  // channel indices, different in a sample
    } else {
      const double u = static_cast<double>(uniform_at(key, static_cast<std::uint64_t>(i)));
      tensor.as<float>()[i] = static_cast<float>(example.low + (example.high - example.low) * u);
    }
  }
  return tensor;
}

Example make(const OpDef& op, const OpExample& example) {
  Example made;
  std::vector<ValueId> wanted;
  const auto leaf = [&](const ValueInfo& info) {
    made.leaves.push_back(made.graph.input("leaf" + std::to_string(made.leaves.size()), info.shape, info.dtype));
    made.values.push_back(random_values(info, example, static_cast<std::uint32_t>(made.leaves.size())));
    return made.leaves.back();
  };
  std::vector<ValueId> in;
  for (const ValueInfo& info : example.in) in.push_back(leaf(info));
  const std::vector<ValueId> out = made.graph.emit(op.name, in, example.attrs, "node");
  made.outputs = out;
  const ValueInfo y = made.graph.value(out[0]);
  if (!op.reverse || y.dtype != DType::F32) return made;
  for (std::size_t i = 0; i < in.size(); ++i) {
    const bool all = example.differentiable.empty() && example.in[i].dtype == DType::F32;
    if (all || std::ranges::count(example.differentiable, i) > 0) wanted.push_back(in[i]);
  }
  const ValueId product = made.graph.emit1("mul", {out[0], leaf({y.shape, DType::F32})}, {}, "weighted");
  const ValueId loss = made.graph.emit1("reduce_sum", {product}, {}, "loss");
  for (const Gradient& gradient : differentiate(made.graph, loss, wanted)) {
    if (gradient.grad != kNoValue) made.outputs.push_back(gradient.grad);
  }
  return made;
}

bool all_double(const Example& example) {
  return std::ranges::all_of(example.graph.schedule(example.outputs),
                             [&](NodeId at) { return find_op(example.graph.nodes()[at].op).in_double != nullptr; });
}

void expect_agreement(const OpDef& op, const OpExample& given) {
  Example example = make(op, given);
  if (!all_double(example)) return;
  DoubleProgram exact(example.graph, example.outputs, 2);
  std::vector<Binding> bindings;
  for (std::size_t i = 0; i < example.leaves.size(); ++i) {
    Tensor& values = example.values[i];
    bindings.push_back({example.leaves[i], values.as<std::byte>()});
    std::vector<float> as_float;
    for (std::int64_t k = 0; k < values.view().numel(); ++k) {
      as_float.push_back(values.view().dtype == DType::I32 ? static_cast<float>(values.as<std::int32_t>()[k])
                                                           : values.as<float>()[k]);
    }
    exact.set(example.leaves[i], as_float);
  }
  Program single(example.graph, example.outputs, bindings, 1);
  single.run({.update_statistics = false});
  exact.run();
  for (const ValueId id : example.outputs) {
    const TensorView found = single.view(id);
    const std::vector<double>& expected = exact.value(id);
    ASSERT_EQ(static_cast<std::int64_t>(expected.size()), found.numel());
    double largest = 1e-30;
    for (const double value : expected) largest = std::max(largest, std::fabs(value));
    for (std::int64_t i = 0; i < found.numel(); ++i) {
      const double value = found.dtype == DType::I32  ? found.as<std::int32_t>()[i]
                           : found.dtype == DType::U8 ? found.as<std::uint8_t>()[i]
                                                      : static_cast<double>(found.as<float>()[i]);
      ASSERT_NEAR(value, expected[static_cast<std::size_t>(i)], 1e-5 * largest)
          << op.name << ", " << given.label << ", value " << example.graph.value(id).name << ", element " << i;
    }
  }
}

TEST(DoubleProgram, AgreesWithTheKernelsOnEveryExample) {
  int compared = 0;
  for (const std::string& name : op_names()) {
    const OpDef& op = find_op(name);
    if (find_op(name).in_double == nullptr) continue;
    for (const OpExample& example : op.examples) {
      // In double precision nothing is rounded to bf16.
      if (!in_f32(example) || (name == "cast" && example.attrs.text("dtype") == "bf16")) continue;
      if (name == "batch_norm" && (example.attrs.integer("relu") != 0 || example.in.size() == 6)) continue;
      expect_agreement(op, example);
      ++compared;
    }
  }
  EXPECT_GT(compared, 30);
}

TEST(DoubleProgram, KeepsWhatSinglePrecisionLoses) {
  Graph graph;
  const ValueId x = graph.input("x", {1, 3}), w = graph.input("w", {1, 3});
  const ValueId y = graph.emit1("linear", {x, w}, {}, "fc");
  DoubleProgram program(graph, std::span(&y, 1), 1);
  program.set(x, std::vector<float>{1e8f, 1.0f, -1e8f});
  program.set(w, std::vector<float>{1, 1, 1});
  program.run();
  EXPECT_EQ(program.value(y)[0], 1.0);
}

TEST(DoubleProgram, AnOpThatIsNotDefinedIsNamed) {
  Graph graph;
  const ValueId scores = graph.input("scores", {8});
  const ValueId out = graph.emit1("score_mask", {graph.input("w", {8}), scores}, {{"density", 0.5}}, "mask");
  try {
    const DoubleProgram program(graph, std::span(&out, 1), 1);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Settings);
    EXPECT_NE(std::string(error.what()).find("'mask': score_mask"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace winnow
