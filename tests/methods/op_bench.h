// A graph of a few ops on given values, for oracle tests: leaves are filled from vectors, gradients
// are those of sum(output * weights). Owns all memory; used by one thread.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/autodiff.h"
#include "core/graph.h"
#include "core/program.h"

namespace winnow {

class OpBench {
 public:
  Graph graph;
  RunFeed run{};

  ValueId leaf(const std::string& name, const Shape& shape, const std::vector<float>& values) {
    const ValueId id = graph.input(name, shape);
    auto data = std::make_unique<std::vector<float>>(values);
    EXPECT_EQ(static_cast<std::int64_t>(values.size()), shape.numel());
    bindings_.push_back({id, data->data()});
    leaves_.push_back(std::move(data));
    return id;
  }

  std::vector<float> value(ValueId of, int threads = 1) {
    Program program(graph, std::vector{of}, bindings_, threads);
    program.run(run);
    return read(program.view(of));
  }

  // d sum(out * weights) / d leaf, for each of `wanted`.
  std::vector<std::vector<float>> gradients(ValueId out, const std::vector<float>& weights,
                                            const std::vector<ValueId>& wanted) {
    const ValueId w = leaf("weights", graph.value(out).shape, weights);
    const ValueId loss = graph.emit1("reduce_sum", {graph.emit1("mul", {out, w}, {}, "weighted")}, {}, "loss");
    std::vector<std::vector<float>> found(wanted.size());
    for (const Gradient& g : differentiate(graph, loss, wanted)) {
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        if (wanted[i] == g.of && g.grad != kNoValue) found[i] = value(g.grad);
      }
    }
    return found;
  }

 private:
  static std::vector<float> read(const TensorView& view) {
    std::vector<float> values;
    for (std::int64_t i = 0; i < view.numel(); ++i) {
      switch (view.dtype) {
        case DType::F32:
          values.push_back(view.as<float>()[i]);
          break;
        case DType::BF16:
          values.push_back(to_float(view.as<bf16>()[i]));
          break;
        case DType::I32:
          values.push_back(static_cast<float>(view.as<std::int32_t>()[i]));
          break;
        case DType::U8:
          values.push_back(view.as<std::uint8_t>()[i]);
          break;
      }
    }
    return values;
  }

  std::vector<Binding> bindings_;
  std::vector<std::unique_ptr<std::vector<float>>> leaves_;
};

inline void expect_near(const std::vector<float>& got, const std::vector<float>& expected, double tolerance = 2e-6) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], tolerance) << "at " << i;
}

}  // namespace winnow
