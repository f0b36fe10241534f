#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "experiments/accounting/accounting.h"
#include "kernels/rng.h"
#include "kernels/top_k.h"
#include "tests/core/run_graph.h"
#include "tests/methods/trial_tools.h"

namespace winnow {
namespace {

const std::vector<float> kScores{.3f, -.1f, .05f, -.4f, .2f, .02f, .15f, -.25f};

std::vector<std::uint8_t> kept(const std::vector<float>& scores, std::int64_t drop) {
  std::vector<std::uint8_t> keep(scores.size());
  std::vector<std::uint32_t> scratch(scores.size());
  keep_largest(scores, drop, keep.data(), scratch.data());
  return keep;
}

TEST(EdgePopup, MasksMatchSpecificationOracle) {
  EXPECT_EQ(dropped_of(8, .3), 5);
  EXPECT_EQ(kept(kScores, dropped_of(8, .5)), (std::vector<std::uint8_t>{1, 0, 0, 1, 1, 0, 0, 1}));
  EXPECT_EQ(kept(kScores, dropped_of(8, .3)), (std::vector<std::uint8_t>{1, 0, 0, 1, 0, 0, 0, 1}));
}

TEST(EdgePopup, EqualScoresAreDroppedInTheirOrder) {
  EXPECT_EQ(kept({1, -1, 1, .5f, 1}, 3), (std::vector<std::uint8_t>{0, 0, 1, 0, 1}));
  EXPECT_EQ(kept({0, 0, 0}, 0), (std::vector<std::uint8_t>{1, 1, 1}));
  EXPECT_EQ(kept({0, 2, 0}, 3), (std::vector<std::uint8_t>{0, 0, 0}));
}

TEST(EdgePopup, SelectionAgreesWithSorting) {
  std::vector<float> scores(5000);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    scores[i] = std::round(100 * normal_at({7, 1, 2}, i)) * (i % 2 == 0 ? 1e-4f : 1e3f);
  }
  std::vector<std::size_t> order(scores.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return std::abs(scores[a]) < std::abs(scores[b]); });
  for (const std::int64_t drop : {1, 60, 2499, 2500, 4990, 4999}) {
    std::vector<std::uint8_t> expected(scores.size(), 1);
    for (std::int64_t i = 0; i < drop; ++i) expected[order[static_cast<std::size_t>(i)]] = 0;
    EXPECT_EQ(kept(scores, drop), expected) << drop;
  }
}

TEST(EdgePopup, GradientIsStraightThroughForAllScores) {
  test::Bench bench;
  const float r = std::sqrt(.5f);
  const ValueId w = bench.leaf("w", {8}, {r, -r, r, r, -r, r, -r, r}), s = bench.leaf("s", {8}, kScores);
  const auto out = bench.graph.emit("score_mask", {w, s}, {{"density", .5}}, "mask");
  test::expect_near(bench.eval(out[0]), {r, 0, 0, r, -r, 0, 0, r});
  const auto grads = bench.gradients(out[0], {.1f, .2f, .3f, .4f, .5f, .6f, .7f, .8f}, {w, s});
  test::expect_near(grads[0], {.1f, 0, 0, .4f, .5f, 0, 0, .8f});
  test::expect_near(grads[1], {.070711f, .141421f, .212132f, -.282843f, -.353553f, .424264f, -.494975f, -.565685f});
}

TEST(EdgePopup, StartValuesHaveTheDeviationsOfTheSpecification) {
  const Model model = test::edited_model("vgg11", {}, {{"name", "edge_popup"}}, {32, 32, 3, 10});
  for (const ParamSpec& spec : model.params) {
    if (spec.name == "stage1.block0.conv.score") {
      EXPECT_NEAR(1 / std::sqrt(static_cast<double>(spec.init.fan_in)), .041667, 1e-6);
    }
    if (spec.name != "stage1.block0.conv.weight") continue;
    std::vector<float> values(static_cast<std::size_t>(spec.shape.numel()));
    generate(spec.init, {1, 2, 0}, values);
    for (const float w : values) ASSERT_NEAR(std::fabs(w), .058926, 1e-6);
  }
}

TEST(EdgePopup, OnlyScoresAreTrainedAndTheMaskIsKept) {
  auto trial = test::residual_trial({{"name", "edge_popup"}, {"density", "0.5"}}, {{"epochs", "5"}, {"lr", "0.1"}});
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  const auto before = test::copy_of(trainer, "stage0.block0.conv1.weight");
  EXPECT_FALSE(trainer.run().diverged);
  EXPECT_GT(trainer.evaluate(Split::Test).accuracy, .2);
  const ParamId id = test::named(trainer, "stage0.block0.conv1.weight");
  const auto keep = trainer.params().mask(id, MaskKind::Keep);
  const auto after = test::copy_of(trainer, "stage0.block0.conv1.weight");
  ASSERT_EQ(keep.size(), before.size());
  EXPECT_EQ(std::count(keep.begin(), keep.end(), 1), static_cast<std::ptrdiff_t>(before.size() / 2));
  for (std::size_t i = 0; i < before.size(); ++i) ASSERT_EQ(after[i], keep[i] != 0 ? before[i] : 0.0f);
  for (std::size_t p = 0; p < trainer.params().size(); ++p) {
    const ParamSpec& spec = trainer.params().specs()[p];
    EXPECT_EQ(spec.trainable, spec.role == ParamRole::Score) << spec.name;
  }
}

TEST(EdgePopup, DeviationForAFanInOf784MatchesSpecificationOracle) {
  const Model model = test::edited_model("lenet300", {}, {{"name", "edge_popup"}}, {28, 28, 1, 10});
  std::vector<float> values(235200);
  generate(model.params.at(0).init, {1, 2, 0}, values);
  for (const float w : values) ASSERT_NEAR(std::fabs(w), .050508, 1e-6);
}

TEST(EdgePopup, OnlyASeedAndAMaskAreStored) {
  test::SmallTrial trial("lenet300", {{"name", "edge_popup"}, {"density", "0.3"}}, {{"epochs", "1it"}});
  test::SmallTrial plain("lenet300");
  Trainer trainer = trial.make(), dense = plain.make();
  trainer.run();
  const Accounting counted = account(dense.model(), trainer.model(), trainer.params(), trainer.effective_weights());
  EXPECT_EQ(counted.summary.at("params.kept"), 0);
  EXPECT_EQ(counted.summary.at("stored.bits"), 3 * 32 + 266200 + 3 * 32) << "seeds and masks";
  for (const LayerCount& layer : counted.layers)
    EXPECT_EQ(layer.kept, layer.numel - dropped_of(layer.numel, .3)) << layer.name;
}

TEST(EdgePopup, StoredMaskGivesTheTrainedNetwork) {
  auto trial = test::residual_trial({{"name", "edge_popup"}, {"density", "0.3"}});
  Trainer trainer = trial.make();
  trainer.run();
  const auto merged = trainer.effective_weights();
  for (const auto& layer : merged) EXPECT_EQ(layer.values, test::copy_of(trainer, layer.layer + ".weight"));
}

}  // namespace
}  // namespace winnow
