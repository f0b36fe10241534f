// For tests: leaves with memory of their own, and one-off evaluation of values of a graph.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "core/program.h"
#include "core/tensor.h"

namespace winnow::test {

// A graph and tensors for its leaves. Not copied; single thread.
struct Bench {
  Graph graph;
  std::map<ValueId, Tensor> leaves;
  RunFeed context;

  ValueId leaf(const std::string& name, const Shape& shape, const std::vector<float>& values = {}) {
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
  // The f32 elements of `value`, computed by a program made for it alone.
  std::vector<float> eval(ValueId value) {
    Program program = compile({value});
    program.run(context);
    const auto span = program.view(value).span<float>();
    return {span.begin(), span.end()};
  }
};

}  // namespace winnow::test
