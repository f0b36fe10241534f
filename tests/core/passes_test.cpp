// The passes change nodes, not results: fused graphs compute what the plain ones do, gradients included.
#include "core/passes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
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

// relu(norm(conv(x, w))), the sum of its squares as the loss.
struct HowNormed {
  bool bias = false, running = false;
  std::int64_t groups = 1;
};
struct NormedLayer {
  test::Bench bench;
  ValueId x, w, y, out, loss;

  explicit NormedLayer(const HowNormed& how = {}) {
    Graph& graph = bench.graph;
    x = bench.leaf("x", {2, 5, 5, 8}, wave(400, 0.3f));
    w = bench.leaf("w", {16, 8 / how.groups, 3, 3}, wave(1152 / how.groups, 0.9f));
    std::vector<ValueId> in{x, w};
    if (how.bias) in.push_back(bench.leaf("bias", {16}));
    y = graph.emit1("conv2d", in, {{"stride", std::int64_t{2}}, {"pad", std::int64_t{1}}, {"groups", how.groups}},
                    "conv");
    const ValueId gamma = bench.leaf("gamma", {16}, wave(16, 0.2f)), beta = bench.leaf("beta", {16}),
                  mean = bench.leaf("mean", {16}), var = bench.leaf("var", {16}, std::vector<float>(16, 1.0f));
    const ValueId normed = graph.emit1("batch_norm", {y, gamma, beta, mean, var},
                                       {{"eps", 1e-5}, {"running", std::int64_t{how.running}}}, "norm");
    out = graph.emit1("relu", {normed}, {}, "out");
    loss = graph.emit1("reduce_sum", {graph.emit1("mul", {out, out}, {}, "squares")}, {}, "loss");
    fuse_norm(graph, std::array{loss});
  }
  FusedStatistics fuse(Device device = Device::Dry, std::vector<ValueId> outputs = {}) {
    outputs.push_back(loss);
    return fuse_statistics(bench.graph, outputs, device);
  }
};

TEST(FuseStatistics, ABatchNormTakesTheSumsOfTheLayerInFrontOfIt) {
  NormedLayer plain, fused;
  const FusedStatistics found = fused.fuse();
  EXPECT_EQ(found.fused, 1);
  EXPECT_EQ(found.norms, 1);
  const Node &layer = fused.bench.graph.nodes()[0], &norm = fused.bench.graph.nodes()[1];
  ASSERT_EQ(layer.out.size(), 2u);
  ASSERT_EQ(norm.in.size(), 7u);
  EXPECT_EQ(norm.in[6], layer.out[1]);
  EXPECT_EQ(fused.bench.graph.node_count(), plain.bench.graph.node_count());

  const std::vector<float> y = plain.bench.eval(plain.y), sums = fused.bench.eval(layer.out[1]);
  std::vector<double> expected(32);
  for (std::size_t i = 0; i < y.size(); ++i) {
    expected[i % 16] += double{y[i]};
    expected[16 + i % 16] += double{y[i]} * double{y[i]};
  }
  ASSERT_EQ(sums.size(), expected.size());
  for (std::size_t i = 0; i < sums.size(); ++i) EXPECT_NEAR(sums[i], expected[i], 1e-5 * (1 + expected[i])) << i;

  for (const auto leaf : {&NormedLayer::x, &NormedLayer::w}) {
    const auto gradient = [&](NormedLayer& of) {
      return of.bench.eval(differentiate(of.bench.graph, of.loss, std::array{of.*leaf})[0].grad);
    };
    EXPECT_EQ(gradient(plain), gradient(fused));
  }
}

TEST(FuseStatistics, LeavesAloneWhatItWouldChangeOrCannotHave) {
  const auto fused = [](const HowNormed& how, Device device = Device::Dry) {
    return NormedLayer(how).fuse(device).fused;
  };
  EXPECT_EQ(fused({}), 1);
  EXPECT_EQ(fused({}, Device::Cpu), 0) << "the CPU sums as it normalises";
  EXPECT_EQ(fused({.bias = true}), 0);
  EXPECT_EQ(fused({.groups = 2}), 0);
  NormedLayer resting({.running = true});
  const FusedStatistics of_resting = resting.fuse();
  EXPECT_EQ(of_resting.fused, 0);
  EXPECT_EQ(of_resting.norms, 0) << "it needs no statistics of the batch";
  NormedLayer looked_at;
  EXPECT_EQ(looked_at.fuse(Device::Dry, {looked_at.y}).fused, 0) << "somebody else reads what the layer gives";
  NormedLayer read_twice;
  read_twice.loss = read_twice.bench.graph.emit1(
      "add", {read_twice.loss, read_twice.bench.graph.emit1("reduce_sum", {read_twice.y})}, {}, "both");
  EXPECT_EQ(read_twice.fuse().fused, 0);
}

// Two convolutions and a linear layer with a ReLU each; the sum of squares of what they give as the loss.
struct LayersWithRelu {
  test::Bench bench;
  ValueId x, kernel, bias, next, next_bias, w, w_bias, first, second, active, loss;

  LayersWithRelu() {
    Graph& graph = bench.graph;
    x = bench.leaf("x", {3, 4, 4, 2}, wave(96, 0.4f));
    kernel = bench.leaf("kernel", {4, 2, 3, 3}, wave(72, 0.2f));
    bias = bench.leaf("bias", {4}, wave(4, 0.9f));
    next = bench.leaf("next", {3, 4, 3, 3}, wave(108, 0.8f));
    next_bias = bench.leaf("next_bias", {3}, wave(3, 0.6f));
    w = bench.leaf("w", {5, 48}, wave(240, 0.3f));
    w_bias = bench.leaf("w_bias", {5}, wave(5, 0.1f));
    const Attrs same{{"pad", std::int64_t{1}}};
    first = graph.emit1("conv2d", {x, kernel, bias}, same);
    second = graph.emit1("conv2d", {graph.emit1("relu", {first}), next, next_bias}, same);
    active = graph.emit1("relu", {second});
    const ValueId hidden = graph.emit1("linear", {graph.emit1("flatten", {active}), w, w_bias});
    const ValueId out = graph.emit1("relu", {hidden});
    loss = graph.emit1("reduce_sum", {graph.emit1("mul", {out, out})});
  }
  std::vector<ValueId> leaves() const { return {x, kernel, bias, next, next_bias, w, w_bias}; }
  std::vector<ValueId> gradients() {
    std::vector<ValueId> found;
    for (const Gradient& g : differentiate(bench.graph, loss, leaves())) found.push_back(g.grad);
    return found;
  }
  std::size_t relus(const std::vector<ValueId>& outputs) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        bench.graph.schedule(outputs), [&](NodeId at) { return bench.graph.nodes()[at].op == "relu"; }));
  }
};

// Also where the reverse pass is made of the fused layers.
TEST(FuseRelu, KeepsResultsAndGradientsAndLeavesNoReluBehindAConvolution) {
  LayersWithRelu plain, fused, before;
  fuse_relu(before.bench.graph, std::array{before.loss});
  std::vector<ValueId> outputs[3];
  for (auto* layers : {&plain, &fused, &before}) {
    std::vector<ValueId>& of = outputs[layers == &plain ? 0 : layers == &fused ? 1 : 2];
    of = layers->gradients();
    of.push_back(layers->loss);
  }
  fuse_relu(fused.bench.graph, outputs[1]);
  EXPECT_EQ(plain.relus(outputs[0]), 3u);
  EXPECT_EQ(fused.relus(outputs[1]), 1u) << "that of the linear layer";
  EXPECT_EQ(before.relus(outputs[2]), 1u);
  for (std::size_t i = 0; i < outputs[0].size(); ++i) {
    const auto expected = plain.bench.eval(outputs[0][i]);
    for (auto* layers : {&fused, &before}) {
      const auto found = layers->bench.eval(outputs[layers == &fused ? 1 : 2][i]);
      ASSERT_EQ(found.size(), expected.size());
      for (std::size_t k = 0; k < found.size(); ++k) {
        EXPECT_NEAR(found[k], expected[k], 1e-5f * (1 + std::abs(expected[k]))) << i << ' ' << k;
      }
    }
  }
}

TEST(FuseRelu, LeavesWhatOthersReadAndWhereNoPassOfTheBiasIsSaved) {
  LayersWithRelu kept;
  std::vector<ValueId> outputs = {kept.loss, kept.first, kept.active};
  fuse_relu(kept.bench.graph, outputs);
  EXPECT_EQ(kept.relus(outputs), 3u) << "one reads what is kept, one gives it, one is behind a linear layer";

  LayersWithRelu others;
  Graph& graph = others.bench.graph;
  const ValueId point = others.bench.leaf("point", {4, 2, 1, 1}, wave(8, 0.5f));
  const ValueId no_bias =
      graph.emit1("relu", {graph.emit1("conv2d", {others.x, others.kernel}, {{"pad", std::int64_t{1}}})});
  const ValueId by_pixel = graph.emit1("relu", {graph.emit1("conv2d", {others.x, point, others.bias})});
  outputs = {graph.emit1("add", {no_bias, by_pixel})};
  fuse_relu(graph, outputs);
  EXPECT_EQ(others.relus(outputs), 2u);
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
