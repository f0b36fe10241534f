#include <gtest/gtest.h>

#include "op_bench.h"

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

}  // namespace
}  // namespace winnow
