// The passes change nodes, not results: fused graphs compute what the plain ones do, gradients included.
#include "core/passes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>

#include "core/autodiff.h"
#include "tests/core/run_graph.h"
#include "tests/core/wave.h"

namespace winnow {
namespace {

using test::wave;

// relu(norm(x) + norm(z)) as a residual block ends; sum of its squares as the loss.
struct FusedBlock {
  test::Bench bench;
  ValueId x, z, gamma, sum, out, loss;

  FusedBlock() {
    const Shape image{3, 2, 2, 4}, channels{4};
    x = bench.leaf("x", image, wave(48, 0.1f));
    z = bench.leaf("z", image, wave(48, 0.7f));
    gamma = bench.leaf("gamma", channels, {1, -0.5f, 2, 0.3f});
    const ValueId a = norm(x, "a"), b = norm(z, "b");
    sum = bench.graph.emit1("add", {a, b}, {}, "sum");
    out = bench.graph.emit1("relu", {sum}, {}, "out");
    const ValueId squares = bench.graph.emit1("mul", {out, out}, {}, "squares");
    loss = bench.graph.emit1("reduce_sum", {squares}, {}, "loss");
  }
  ValueId norm(ValueId in, const std::string& name) {
    const Shape channels{4};
    const ValueId beta = bench.leaf(name + ".beta", channels, {0.1f, 0.2f, -0.1f, 0});
    const ValueId mean = bench.leaf(name + ".mean", channels);
    const ValueId var = bench.leaf(name + ".var", channels, {1, 1, 1, 1});
    return bench.graph.emit1(
        "batch_norm", {in, gamma, beta, mean, var},
        {{"eps", 1e-5}, {"momentum", 0.1}, {"running", std::int64_t{0}}, {"relu", std::int64_t{0}}}, name);
  }
  std::multiset<std::string> ops(ValueId of) const {
    std::multiset<std::string> names;
    for (const NodeId at : bench.graph.schedule(std::array{of})) names.insert(bench.graph.nodes()[at].op);
    return names;
  }
};

TEST(FuseNorm, KeepsTheResultsOfAResidualBlock) {
  FusedBlock plain, fused;
  fuse_norm(fused.bench.graph, std::array{fused.loss});
  EXPECT_EQ(fused.ops(fused.loss), (std::multiset<std::string>{"batch_norm", "batch_norm", "mul", "reduce_sum"}));
  EXPECT_FLOAT_EQ(plain.bench.eval(plain.loss)[0], fused.bench.eval(fused.loss)[0]);

  for (FusedBlock* block : {&plain, &fused}) {
    const auto grads = differentiate(block->bench.graph, block->loss, std::array{block->x, block->z, block->gamma});
    EXPECT_EQ(grads.size(), 3u);
  }
  const auto gradient = [](FusedBlock& block, ValueId of) {
    Graph& graph = block.bench.graph;
    const auto grads = differentiate(graph, block.loss, std::array{of});
    return block.bench.eval(grads[0].grad);
  };
  for (const auto leaf : {&FusedBlock::x, &FusedBlock::z, &FusedBlock::gamma}) {
    const auto a = gradient(plain, plain.*leaf), b = gradient(fused, fused.*leaf);
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-5f) << i;
  }
}

TEST(FuseNorm, LeavesValuesThatOthersRead) {
  FusedBlock block;
  fuse_norm(block.bench.graph, std::array{block.loss, block.sum});
  EXPECT_EQ(block.ops(block.loss).count("relu"), 1u) << "the sum is an output: its relu must stay apart";
  EXPECT_EQ(block.ops(block.loss).count("add"), 1u);
}

// Residual blocks of both kinds: y = relu(norm(x)), z = relu(norm(y * w) + y), out = z + relu(norm(z)) * w.
struct ResidualBlocks : FusedBlock {
  ValueId w;
  explicit ResidualBlocks() {
    Graph& graph = bench.graph;
    w = bench.leaf("w", {3, 2, 2, 4}, wave(48, 1.3f));
    const ValueId y = graph.emit1("relu", {norm(x, "n0")}, {}, "y");
    const ValueId inner = norm(graph.emit1("mul", {y, w}, {}, "yw"), "n1");
    const ValueId z0 = graph.emit1("relu", {graph.emit1("add", {inner, y}, {}, "sum1")}, {}, "z0");
    const ValueId active = graph.emit1("relu", {norm(z0, "n2")}, {}, "active");
    const ValueId last = graph.emit1("add", {z0, graph.emit1("mul", {active, w}, {}, "aw")}, {}, "last");
    loss = graph.emit1("reduce_sum", {graph.emit1("mul", {last, last}, {}, "squares1")}, {}, "loss1");
    fuse_norm(graph, std::array{loss});
  }
};

TEST(FuseGradientSums, KeepsTheBitsAndLeavesNoSumsOfGradients) {
  ResidualBlocks plain, fused;
  std::vector<ValueId> outputs[2];
  for (auto* block : {&plain, &fused}) {
    const std::array wanted{block->x, block->gamma, block->w};
    for (const Gradient& g : differentiate(block->bench.graph, block->loss, wanted)) {
      outputs[block == &fused].push_back(g.grad);
    }
  }
  fuse_gradient_sums(fused.bench.graph, outputs[1]);
  const auto sums = [](const ResidualBlocks& block, const std::vector<ValueId>& of) {
    const auto& graph = block.bench.graph;
    return std::ranges::count_if(graph.schedule(of), [&](NodeId at) {
      return graph.nodes()[at].op == "add" && graph.value(graph.nodes()[at].out[0]).shape.rank() == 4;
    });
  };
  EXPECT_EQ(sums(plain, outputs[0]), sums(fused, outputs[1]) + 2) << "of y and of z0";
  const auto values = [](ResidualBlocks& block, const std::vector<ValueId>& of) {
    Program program = block.bench.compile(of);
    program.run(block.bench.context);
    std::vector<std::vector<float>> all;
    for (const ValueId id : of) {
      const TensorView view = program.view(id);
      all.emplace_back(view.as<float>(), view.as<float>() + view.numel());
    }
    return all;
  };
  EXPECT_EQ(values(plain, outputs[0]), values(fused, outputs[1]));
}

TEST(FuseGradientSums, LeavesSumsThatOthersRead) {
  ResidualBlocks block;
  Graph& graph = block.bench.graph;
  std::vector<ValueId> outputs;
  for (const Gradient& g : differentiate(graph, block.loss, std::array{block.x})) outputs.push_back(g.grad);
  const std::vector<NodeId> before = graph.schedule(outputs);
  for (const NodeId at : before) {
    if (graph.nodes()[at].op == "add") outputs.push_back(graph.nodes()[at].out[0]);
  }
  fuse_gradient_sums(graph, outputs);
  EXPECT_EQ(graph.schedule(outputs).size(), before.size());
}

TEST(NormStatistics, RunningOnesMakeRowsIndependent) {
  FusedBlock block;
  set_norm_statistics(block.bench.graph, NormStatistics::Running);
  const auto before = block.bench.eval(block.out);
  block.bench.leaves.at(block.x).span<float>()[47] += 5;  // the last row
  const auto after = block.bench.eval(block.out);
  EXPECT_TRUE(std::equal(before.begin(), before.begin() + 32, after.begin()));
}

TEST(DropTrainOnly, RemovesDropoutAndMapsOutputs) {
  test::Bench bench;
  const ValueId x = bench.leaf("x", {2, 8}, wave(16, 0));
  const ValueId first = bench.graph.emit1("dropout", {x}, {{"p", 0.5}}, "first");
  const ValueId middle = bench.graph.emit1("relu", {first}, {}, "middle");
  const ValueId last = bench.graph.emit1("dropout", {middle}, {{"p", 0.5}}, "last");
  std::array outputs{last};
  drop_train_only(bench.graph, outputs);
  EXPECT_EQ(outputs[0], middle);
  EXPECT_EQ(bench.graph.schedule(outputs).size(), 1u);
  std::vector<float> want = wave(16, 0);
  for (float& v : want) v = std::max(v, 0.0f);
  EXPECT_EQ(bench.eval(outputs[0]), want);
}

}  // namespace
}  // namespace winnow
