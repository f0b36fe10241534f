#include "experiments/run/machine_speed.h"

#include <algorithm>
#include <array>
#include <vector>

#include "core/clock.h"
#include "core/graph.h"
#include "core/program.h"

namespace winnow {
namespace {

// Of the quickest of some runs: others meet what else the machine does.
double least_seconds(Program& program) {
  constexpr double kMeasured = 0.025;  // s
  constexpr int kLeastRuns = 3;
  program.run();  // plans and pages
  double least = 1e9;
  const double start = seconds_now();
  for (int runs = 0; runs < kLeastRuns || seconds_now() < start + kMeasured; ++runs) {
    const double before = seconds_now();
    program.run();
    least = std::min(least, seconds_now() - before);
  }
  return std::max(least, 1e-9);
}

// As a linear layer computes it.
double product_flops(DType type) {
  constexpr std::int64_t kRows = 128, kWidth = 768;
  Graph graph;
  const ValueId x = graph.input("x", {kRows, kWidth}, type), w = graph.input("w", {kWidth, kWidth}, DType::F32);
  const ValueId y = graph.emit1("linear", {x, w, kNoValue}, {}, "product");
  Tensor in(type, {kRows, kWidth}), weights(DType::F32, {kWidth, kWidth});
  const std::array bindings = {Binding{x, in.view().data}, Binding{w, weights.view().data}};
  Program program(graph, std::array{y}, bindings, 1);
  return 2.0 * kRows * kWidth * kWidth / least_seconds(program);
}

double sum_bytes() {
  constexpr std::int64_t kNumbers = 4 << 20;  // 48 MiB go through, more than a core's share of a cache
  Graph graph;
  const ValueId a = graph.input("a", {kNumbers}, DType::F32), b = graph.input("b", {kNumbers}, DType::F32);
  const ValueId sum = graph.emit1("add", {a, b}, {}, "sum");
  Tensor left(DType::F32, {kNumbers}), right(DType::F32, {kNumbers});
  const std::array bindings = {Binding{a, left.view().data}, Binding{b, right.view().data}};
  Program program(graph, std::array{sum}, bindings, 1);
  return 3.0 * sizeof(float) * kNumbers / least_seconds(program);
}

}  // namespace

const MachineSpeed& machine_speed() {
  static const MachineSpeed speed{
      .flops_f32 = product_flops(DType::F32), .flops_bf16 = product_flops(DType::BF16), .bytes = sum_bytes()};
  return speed;
}

}  // namespace winnow
