#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "tests/methods/op_bench.h"
#include "tests/methods/trial_tools.h"

namespace winnow {
namespace {

// Oracle 2 of the specification: four channels, two of them processed by a 1x1 block.
struct RoutingOracle : OpBench {
  ValueId x, logits, block, index, u;
  RoutingOracle() {
    x = leaf("x", {1, 1, 1, 4}, {1, -2, 3, .5f});
    logits = leaf("logits", {1, 4}, {0, 2, -1, 1});
    block = leaf("block", {2, 2, 1, 1}, {1, 2, 0, -1});
    scores_ = graph.emit1("sigmoid", {logits}, {}, "scores");
    index = graph.emit1("top_channels", {scores_}, {{"k", std::int64_t{2}}}, "top");
    const ValueId selected = graph.emit1("gather_channels", {x, index}, {}, "gather");
    u = graph.emit1(
        "conv2d", {selected, block, kNoValue},
        {{"stride", std::int64_t{1}}, {"pad", std::int64_t{0}}, {"groups", std::int64_t{1}}},
        "conv");
  }
  ValueId fuse(const char* fusion) {
    return graph.emit1("fuse_channels", {x, u, scores_, index}, {{"fusion", std::string(fusion)}},
                       "fuse");
  }
  ValueId scores() const { return scores_; }

 private:
  ValueId scores_;
};

TEST(MixtureOfDepths, ForwardMatchesSpecificationOracle) {
  RoutingOracle oracle;
  expect_near(oracle.value(oracle.scores()), {.5f, .880797f, .268941f, .731059f});
  EXPECT_EQ(oracle.value(oracle.index), (std::vector<float>{1, 3}));
  expect_near(oracle.value(oracle.u), {-1, -.5f});
  expect_near(oracle.value(oracle.fuse("first_k")), {.119203f, -2.365529f, 3, .5f});
  expect_near(oracle.value(oracle.fuse("last_k")), {1, -2, 2.119203f, .134471f});
  expect_near(oracle.value(oracle.fuse("original_positions")), {1, -2.880797f, 3, .134471f});
}

TEST(MixtureOfDepths, GradientsMatchSpecificationOracle) {
  for (const char* fusion :
       {"first_k", "last_k", "original_positions"}) {  // equal, since dY is all ones
    RoutingOracle oracle;
    const auto grads =
        oracle.gradients(oracle.fuse(fusion), {1, 1, 1, 1}, {oracle.x, oracle.logits});
    expect_near(grads[0], {1, 1.880797f, 1, 2.030536f});
    expect_near(grads[1], {0, -.104994f, 0, -.098306f});
  }
}

TEST(MixtureOfDepths, EqualScoresGoToTheLowerChannel) {
  OpBench bench;
  const ValueId s = bench.leaf("s", {2, 5}, {1, 3, 3, 1, 2, 0, 0, 0, 0, 0});
  EXPECT_EQ(bench.value(bench.graph.emit1("top_channels", {s}, {{"k", std::int64_t{4}}}, "top")),
            (std::vector<float>{1, 2, 4, 0, 0, 1, 2, 3}));
}

TEST(MixtureOfDepths, SamplesAreRoutedOnTheirOwn) {
  OpBench bench;
  const ValueId x = bench.leaf("x", {2, 1, 2, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  const ValueId s = bench.leaf("s", {2, 3}, {0, 1, 2, 3, 2, 1});
  const ValueId index = bench.graph.emit1("top_channels", {s}, {{"k", std::int64_t{2}}}, "top");
  const ValueId y = bench.graph.emit1("gather_channels", {x, index}, {}, "gather");
  EXPECT_EQ(bench.value(y), (std::vector<float>{3, 2, 6, 5, 7, 8, 10, 11}));
  EXPECT_EQ(bench.gradients(y, {1, 2, 3, 4, 5, 6, 7, 8}, {x})[0],
            (std::vector<float>{0, 2, 1, 0, 4, 3, 5, 6, 0, 7, 8, 0}));
}

std::int64_t parameters(const std::string& model, const DataShape& data,
                        const test::Pairs& extra = {}) {
  test::Pairs method = {{"name", "mixture_of_depths"}};
  method.insert(method.end(), extra.begin(), extra.end());
  return test::parameters_of(test::edited_model(model, {}, method, data));
}

TEST(MixtureOfDepths, ParameterCountsMatchSpecificationOracle) {
  const DataShape imagenet{224, 224, 3, 1000}, cifar{32, 32, 3, 10};
  EXPECT_EQ(parameters("resnet18", imagenet), 5463902);
  EXPECT_EQ(parameters("resnet34", imagenet), 12934414);
  EXPECT_EQ(parameters("resnet50", imagenet), 18105949);
  EXPECT_EQ(parameters("resnet18", cifar), 4948352);
  EXPECT_EQ(parameters("resnet34", cifar), 12418864);
  EXPECT_EQ(parameters("resnet50", cifar), 16069759);
}

TEST(MixtureOfDepths, PlacementAndWidthAreChecked) {
  const DataShape cifar{32, 32, 3, 10};
  EXPECT_LT(parameters("resnet34", cifar, {{"placement", "all"}}), parameters("resnet34", cifar));
  EXPECT_THROW(parameters("resnet20", cifar),
               Error);  // 16 channels leave none with a divisor of 64
  EXPECT_THROW(parameters("lenet300", {28, 28, 1, 10}), Error);
  EXPECT_NO_THROW(parameters("vgg16", cifar));
}

TEST(MixtureOfDepths, ZeroScaleOfTheLastNormLeavesTheInput) {
  Model model = test::edited_model(
      "resnet20", {}, {{"name", "mixture_of_depths"}, {"divisor", "4"}}, {16, 16, 3, 10});
  for (const Node& node : model.graph.nodes()) {
    if (node.op != "fuse_channels" || node.name != "stage1.block1.mod.fuse") continue;
    ParamStore params(model, 0);
    params.initialise(3);
    std::vector<float> images(16 * 16 * 3);
    for (std::size_t i = 0; i < images.size(); ++i) images[i] = std::sin(static_cast<float>(i));
    std::vector<Binding> bindings{{model.input, images.data()}};
    for (std::size_t p = 0; p < params.size(); ++p) {
      if (model.params[p].retired) continue;
      if (model.params[p].name == "stage1.block1.mod.bn2.weight") params.weight(ParamId(p))[0] = 0;
      auto w = params.weight(ParamId(p));
      if (model.params[p].name == "stage1.block1.mod.bn2.weight")
        std::fill(w.begin(), w.end(), 0.0f);
      bindings.push_back({model.params[p].value, w.data()});
    }
    for (std::size_t b = 0; b < params.buffer_count(); ++b)
      bindings.push_back({model.buffers[b].value, params.buffer(b).data()});
    Program program(model.graph, std::vector{node.in[0], node.out[0]}, bindings, 1);
    program.run({});
    const auto x = program.view(node.in[0]).span<float>(),
               y = program.view(node.out[0]).span<float>();
    EXPECT_TRUE(std::equal(x.begin(), x.end(), y.begin()));
    EXPECT_GT(*std::max_element(x.begin(), x.end()), 0.0f);
    return;
  }
  FAIL() << "no routed block";
}

TEST(MixtureOfDepths, Learns) {
  for (const char* precision : {"f32", "bf16"}) {
    auto trial = test::residual_trial({{"name", "mixture_of_depths"}, {"divisor", "4"}},
                                      {{"epochs", "8"}, {"precision", precision}});
    Trainer trainer = trial.make();
    EXPECT_FALSE(trainer.run().diverged);
    EXPECT_GT(trainer.evaluate(Split::Test).accuracy, .3) << precision;
  }
}

}  // namespace
}  // namespace winnow
