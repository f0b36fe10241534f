#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "tests/core/run_graph.h"
#include "tests/methods/trial_tools.h"

namespace winnow {
namespace {

// Oracle 2 of the specification: four channels, two of them processed by a 1x1 block.
struct RoutingOracle : test::Bench {
  ValueId x, logits, block, index, u;
  RoutingOracle() {
    x = leaf("x", {1, 1, 1, 4}, {1, -2, 3, .5f});
    logits = leaf("logits", {1, 4}, {0, 2, -1, 1});
    block = leaf("block", {2, 2, 1, 1}, {1, 2, 0, -1});
    scores_ = graph.emit1("sigmoid", {logits}, {}, "scores");
    index = graph.emit1("top_channels", {scores_}, {{"k", std::int64_t{2}}}, "top");
    const ValueId selected = graph.emit1("gather_channels", {x, index}, {}, "gather");
    u = graph.emit1("conv2d", {selected, block, kNoValue},
                    {{"stride", std::int64_t{1}}, {"pad", std::int64_t{0}}, {"groups", std::int64_t{1}}}, "conv");
  }
  ValueId fuse(const char* fusion) {
    return graph.emit1("fuse_channels", {x, u, scores_, index}, {{"fusion", std::string(fusion)}}, "fuse");
  }
  ValueId scores() const { return scores_; }

 private:
  ValueId scores_;
};

TEST(MixtureOfDepths, ForwardMatchesSpecificationOracle) {
  RoutingOracle oracle;
  test::expect_near(oracle.eval(oracle.scores()), {.5f, .880797f, .268941f, .731059f});
  EXPECT_EQ(oracle.eval(oracle.index), (std::vector<float>{1, 3}));
  test::expect_near(oracle.eval(oracle.u), {-1, -.5f});
  test::expect_near(oracle.eval(oracle.fuse("first_k")), {.119203f, -2.365529f, 3, .5f});
  test::expect_near(oracle.eval(oracle.fuse("last_k")), {1, -2, 2.119203f, .134471f});
  test::expect_near(oracle.eval(oracle.fuse("original_positions")), {1, -2.880797f, 3, .134471f});
}

TEST(MixtureOfDepths, GradientsMatchSpecificationOracle) {
  for (const char* fusion : {"first_k", "last_k", "original_positions"}) {  // equal, since dY is all ones
    RoutingOracle oracle;
    const auto grads = oracle.gradients(oracle.fuse(fusion), {1, 1, 1, 1}, {oracle.x, oracle.logits});
    test::expect_near(grads[0], {1, 1.880797f, 1, 2.030536f});
    test::expect_near(grads[1], {0, -.104994f, 0, -.098306f});
  }
}

TEST(MixtureOfDepths, EqualScoresGoToTheLowerChannel) {
  test::Bench bench;
  const ValueId s = bench.leaf("s", {2, 5}, {1, 3, 3, 1, 2, 0, 0, 0, 0, 0});
  EXPECT_EQ(bench.eval(bench.graph.emit1("top_channels", {s}, {{"k", std::int64_t{4}}}, "top")),
            (std::vector<float>{1, 2, 4, 0, 0, 1, 2, 3}));
}

TEST(MixtureOfDepths, SamplesAreRoutedOnTheirOwn) {
  test::Bench bench;
  const ValueId x = bench.leaf("x", {2, 1, 2, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  const ValueId s = bench.leaf("s", {2, 3}, {0, 1, 2, 3, 2, 1});
  const ValueId index = bench.graph.emit1("top_channels", {s}, {{"k", std::int64_t{2}}}, "top");
  const ValueId y = bench.graph.emit1("gather_channels", {x, index}, {}, "gather");
  EXPECT_EQ(bench.eval(y), (std::vector<float>{3, 2, 6, 5, 7, 8, 10, 11}));
  EXPECT_EQ(bench.gradients(y, {1, 2, 3, 4, 5, 6, 7, 8}, {x})[0],
            (std::vector<float>{0, 2, 1, 0, 4, 3, 5, 6, 0, 7, 8, 0}));
}

std::int64_t parameters(const std::string& model, const DataShape& data, const test::Pairs& extra = {}) {
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

// A whole network whose blocks 1 of each stage are routed to a quarter of the channels, in evaluation mode.
class RoutedNet {
 public:
  static constexpr DataShape kImage{16, 16, 3, 10};

  explicit RoutedNet(std::int64_t batch = 1, const std::string& option = "")
      : model_(test::edited_model("resnet20", {}, method(option), kImage, batch)), params_(model_, {}) {
    set_norm_statistics(model_.graph, NormStatistics::Running);
    params_.initialise(3);
  }

  // Of the last batch norm of each routed block.
  void set_last_norms(float scale, float shift) {
    for (std::size_t p = 0; p < params_.size(); ++p) {
      const std::string& name = model_.params[p].name;
      if (name.ends_with(".mod.bn2.weight")) std::ranges::fill(params_.change(ParamId(p)), scale);
      if (name.ends_with(".mod.bn2.bias")) std::ranges::fill(params_.change(ParamId(p)), shift);
    }
  }

  struct Block {
    std::vector<float> x, u, scores, y;
    std::vector<std::int32_t> index;
  };
  struct Result {
    std::vector<Block> blocks;
    std::vector<float> logits;
  };
  Result run(std::vector<float> images) {
    std::vector<Node> fusions;
    std::vector<ValueId> wanted{model_.logits}, outs;
    for (const Node& node : model_.graph.nodes()) {
      if (node.name.ends_with(".mod.fuse_relu")) outs.back() = node.out[0];
      if (node.op != "fuse_channels") continue;
      fusions.push_back(node);
      outs.push_back(node.out[0]);
      wanted.insert(wanted.end(), node.in.begin(), node.in.end());
    }
    wanted.insert(wanted.end(), outs.begin(), outs.end());
    std::vector<Binding> bindings{{model_.input, images.data()}};
    for (std::size_t p = 0; p < params_.size(); ++p) {
      if (model_.params[p].retired) continue;
      bindings.push_back({model_.params[p].value, params_.weight_memory(ParamId(p)).data});
    }
    for (std::size_t b = 0; b < params_.buffer_count(); ++b) {
      bindings.push_back({model_.buffers[b].value, params_.buffer_memory(b).data});
    }
    Program program(model_.graph, wanted, bindings, 1);
    program.run({});
    const auto floats = [&](ValueId value) {
      const auto span = program.view(value).span<float>();
      return std::vector<float>(span.begin(), span.end());
    };
    Result result{{}, floats(model_.logits)};
    for (std::size_t i = 0; i < fusions.size(); ++i) {
      const auto& in = fusions[i].in;
      const auto index = program.view(in[3]).span<std::int32_t>();
      result.blocks.push_back(
          {floats(in[0]), floats(in[1]), floats(in[2]), floats(outs[i]), {index.begin(), index.end()}});
    }
    EXPECT_EQ(result.blocks.size(), 3u);
    return result;
  }

 private:
  static test::Pairs method(const std::string& option) {
    // With one hidden unit a selector could order the channels in two ways only.
    test::Pairs method = {{"name", "mixture_of_depths"}, {"divisor", "4"}, {"reduction", "2"}};
    if (!option.empty()) method.emplace_back(option, "true");
    return method;
  }

  Model model_;
  ParamStore params_;
};

std::vector<float> image(float frequency) {
  std::vector<float> pixels(16 * 16 * 3);
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    pixels[i] = std::sin(frequency * static_cast<float>(i));
  }
  return pixels;
}

// y of one sample by its definition: u times its channel's score on the first k channels.
std::vector<float> fused(const RoutedNet::Block& block) {
  const std::size_t c = block.scores.size(), k = block.index.size();
  std::vector<float> y = block.x;
  for (std::size_t i = 0; i < block.u.size(); ++i) {
    y[i / k * c + i % k] += block.u[i] * block.scores[static_cast<std::size_t>(block.index[i % k])];
  }
  return y;
}

TEST(MixtureOfDepths, ZeroLastNormLeavesTheInputOfEveryRoutedBlock) {
  RoutedNet net;
  net.set_last_norms(0, 0);
  for (const auto& block : net.run(image(1)).blocks) {
    EXPECT_EQ(block.y, block.x);
    EXPECT_GT(*std::ranges::max_element(block.x), 0.0f);
  }
}

TEST(MixtureOfDepths, SamplesOfABatchGetWhatTheyGetAlone) {
  const std::vector<float> first = image(1), second = image(.3f);
  std::vector<float> both = first;
  both.insert(both.end(), second.begin(), second.end());
  RoutedNet one, two(2);
  const auto a = one.run(first), b = one.run(second), together = two.run(both);
  const auto joined = [](auto x, const auto& y) {
    x.insert(x.end(), y.begin(), y.end());
    return x;
  };
  for (std::size_t i = 0; i < together.blocks.size(); ++i) {
    EXPECT_EQ(together.blocks[i].index, joined(a.blocks[i].index, b.blocks[i].index));
    test::expect_near(together.blocks[i].y, joined(a.blocks[i].y, b.blocks[i].y), 3e-5);
  }
  EXPECT_NE(a.blocks[0].index, b.blocks[0].index);
  test::expect_near(together.logits, joined(a.logits, b.logits), 3e-5);
}

TEST(MixtureOfDepths, InnerResidualAddsTheSelectedChannelsToTheResult) {
  RoutedNet net(1, "inner_residual");
  net.set_last_norms(0, 0);
  for (const auto& block : net.run(image(1)).blocks) {
    const std::size_t c = block.scores.size(), k = block.index.size();
    for (std::size_t i = 0; i < block.u.size(); ++i) {
      const auto channel = static_cast<std::size_t>(block.index[i % k]);
      ASSERT_EQ(block.u[i], block.x[i / k * c + channel]);
    }
    EXPECT_NE(block.y, block.x);
    test::expect_near(block.y, fused(block));
  }
}

TEST(MixtureOfDepths, PostReluActsOnTheSum) {
  RoutedNet plain, rectified(1, "post_relu");
  for (RoutedNet* net : {&plain, &rectified}) net->set_last_norms(0, -10);
  const auto sum = plain.run(image(1)).blocks[0];
  EXPECT_LT(*std::ranges::min_element(sum.y), -1.0f);
  for (const auto& block : rectified.run(image(1)).blocks) {
    std::vector<float> expected = fused(block);
    for (float& value : expected) value = std::max(value, 0.0f);
    test::expect_near(block.y, expected);
  }
}

TEST(MixtureOfDepths, OptionsTrainAndAddNoParameters) {
  const DataShape cifar{32, 32, 3, 10};
  const test::Pairs options = {{"inner_residual", "true"}, {"post_relu", "true"}};
  EXPECT_EQ(parameters("resnet18", cifar, options), parameters("resnet18", cifar));
  EXPECT_EQ(parameters("vgg16", cifar, options), parameters("vgg16", cifar));
  test::Pairs method = {{"name", "mixture_of_depths"}, {"divisor", "4"}, {"placement", "all"}};
  method.insert(method.end(), options.begin(), options.end());
  auto trial = test::residual_trial(method);
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  const auto before = test::copy_of(trainer, "stage1.block1.mod.select1.weight");
  EXPECT_TRUE(std::isfinite(trainer.train_step().loss));
  EXPECT_NE(test::copy_of(trainer, "stage1.block1.mod.select1.weight"), before);
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
