// For tests: a graph of a few ops on given values, and one-off evaluation of its values and gradients.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/autodiff.h"
#include "core/program.h"
#include "core/tensor.h"

namespace winnow::test {

// A graph and tensors for its leaves. Not copied; single thread.
class Bench {
 public:
  Graph graph;
  std::map<ValueId, Tensor> leaves;
  RunFeed context;

  // Without values it is zero. The shape is a copy: it may be one of the graph's own, which a new leaf moves.
  ValueId leaf(const std::string& name, Shape shape, const std::vector<float>& values = {}) {
    EXPECT_TRUE(values.empty() || static_cast<std::int64_t>(values.size()) == shape.numel()) << name;
    const ValueId id = graph.input(name, shape);
    Tensor tensor(DType::F32, shape);
    std::copy(values.begin(), values.end(), tensor.span<float>().begin());
    leaves.emplace(id, std::move(tensor));
    return id;
  }
  ValueId labels(const std::vector<std::int32_t>& values) {
    const Shape shape{static_cast<std::int64_t>(values.size())};
    const ValueId id = graph.input("labels", shape, DType::I32);
    Tensor tensor(DType::I32, shape);
    std::copy(values.begin(), values.end(), tensor.span<std::int32_t>().begin());
    leaves.emplace(id, std::move(tensor));
    return id;
  }
  std::vector<Binding> bindings() {
    std::vector<Binding> all;
    for (auto& [id, tensor] : leaves) all.push_back({id, tensor.view().data});
    return all;
  }
  Program compile(const std::vector<ValueId>& outputs, int threads = 1) {
    return Program(graph, outputs, bindings(), threads);
  }
  // The elements of `value`, of any type, computed by a program made for it alone.
  std::vector<float> eval(ValueId value, int threads = 1) {
    Program program = compile({value}, threads);
    program.run(context);
    return elements(program.view(value));
  }
  // d sum(out * weights) / d leaf, for each of `wanted`.
  std::vector<std::vector<float>> gradients(ValueId out, const std::vector<float>& weights,
                                            const std::vector<ValueId>& wanted) {
    const ValueId w = leaf("weights", graph.value(out).shape, weights);
    const ValueId loss = graph.emit1("reduce_sum", {graph.emit1("mul", {out, w}, {}, "weighted")}, {}, "loss");
    std::vector<std::vector<float>> found(wanted.size());
    for (const Gradient& g : differentiate(graph, loss, wanted)) {
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        if (wanted[i] == g.of && g.grad != kNoValue) found[i] = eval(g.grad);
      }
    }
    return found;
  }

 private:
  static std::vector<float> elements(const TensorView& view) {
    std::vector<float> all;
    for (std::int64_t i = 0; i < view.numel(); ++i) {
      switch (view.dtype) {
        case DType::F32:
          all.push_back(view.as<float>()[i]);
          break;
        case DType::BF16:
          all.push_back(to_float(view.as<bf16>()[i]));
          break;
        case DType::I32:
          all.push_back(static_cast<float>(view.as<std::int32_t>()[i]));
          break;
        case DType::U8:
          all.push_back(view.as<std::uint8_t>()[i]);
          break;
      }
    }
    return all;
  }
};

inline void expect_near(const std::vector<float>& got, const std::vector<float>& expected, double tolerance = 2e-6) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], tolerance) << "at " << i;
}

}  // namespace winnow::test
