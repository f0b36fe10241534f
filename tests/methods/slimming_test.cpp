// Network Slimming: the choice of channels against numbers worked out by hand, the penalty, and what is left of a net.
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "experiments/methods/toolkit/channel_tools.h"
#include "tests/methods/trial_tools.h"

namespace winnow {
namespace {

using test::Pairs;
using Gone = std::vector<std::int64_t>;

std::vector<ScoredGroup> scored(const std::vector<double>& scores, const std::vector<int>& families = {}) {
  std::vector<ScoredGroup> groups;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    groups.push_back({static_cast<std::int64_t>(i), families.empty() ? 0 : families[i], scores[i]});
  }
  return groups;
}

const std::vector<double> kGammas = {.9, .1, .5, .05, .3, .7, .2, .6, .4, .8};

TEST(LowestGroups, FollowTheThresholdOfTheOfficialCodeOrTheExactCount) {
  EXPECT_EQ(lowest_groups(scored(kGammas), {.share = 0.7, .threshold = true}), (Gone{1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(lowest_groups(scored(kGammas), {.share = 0.7}), (Gone{1, 2, 3, 4, 6, 7, 8}));
  EXPECT_EQ(lowest_groups(scored(kGammas), {.share = 0, .threshold = true}), Gone{});
}

TEST(LowestGroups, OfEqualScoresTheLaterGo) {
  EXPECT_EQ(lowest_groups(scored({1, 1, 1, 1, 2}), {.share = 0.4}), (Gone{2, 3}));
}

TEST(LowestGroups, EachFamilyKeepsItsBest) {
  const std::vector<int> families = {0, 0, 1, 1, 1};
  EXPECT_EQ(lowest_groups(scored({.1, .2, 5, 6, 7}, families), {.share = 0.6}), (Gone{0, 2}));
  EXPECT_EQ(lowest_groups(scored({.1, .2, 5, 6, 7}, families), {.share = 0.5, .scope = Scope::Layer}), (Gone{0, 2}));
  EXPECT_EQ(lowest_groups(scored({.1, .2, 5, 6, 7}, families), {.share = 0.99, .scope = Scope::Layer}).size(), 3u);
}

TEST(ScoredGroups, TakeTheLargestScaleOfChannelsThatASumTies) {
  const Model model = test::edited_model("resnet20", {}, {{"name", "dense"}}, {16, 16, 3, 10});
  const ChannelGroups groups(model);
  const std::vector<ParamId> scales = batch_norm_scales(model);
  EXPECT_EQ(scales.size(), 19u);
  const auto one_counts = [&](ParamId id, std::int64_t i) {
    return model.param(id).name == "stage0.block1.bn2.weight" && i == 4 ? 1.0 : 0.0;
  };
  const auto found = scored_groups(groups, model.params, scales, one_counts);
  EXPECT_EQ(found.size(), 400u);
  const auto stream = groups.group_of(model.params[0].value, 0, 4);
  for (const ScoredGroup& group : found) {
    EXPECT_EQ(group.score, group.group == static_cast<std::int64_t>(*stream) ? 1 : 0) << group.group;
  }
  EXPECT_THROW(scored_groups(groups, model.params, scales, [](ParamId, std::int64_t) { return std::nan(""); }), Error);
}

Pairs slimming(const std::string& key, const std::string& value) { return {{"name", "slimming"}, {key, value}}; }

TEST(Slimming, NeedsBatchNorm) {
  test::SmallTrial trial("lenet5", {{"name", "slimming"}});
  EXPECT_THROW(trial.make(), Error);
}

TEST(Slimming, AddsThePenaltyToTheGradientOfScalesAlone) {
  auto strong_trial = test::residual_trial(slimming("l1", "0.25"), {{"lr", "0.1"}, {"momentum", "0.9"}});
  auto plain_trial = test::residual_trial(slimming("l1", "0"), {{"lr", "0.1"}, {"momentum", "0.9"}});
  Trainer strong = strong_trial.make(), plain = plain_trial.make();
  for (Trainer* trainer : {&strong, &plain}) {
    trainer->start_phase(0);
    for (float& scale : trainer->params().change(test::named(*trainer, "bn1.weight"))) scale = 0.5f;
    trainer->params().change(test::named(*trainer, "bn1.weight"))[1] = -0.5f;
    trainer->params().change(test::named(*trainer, "bn1.weight"))[2] = 0;
    trainer->train_step();
  }
  const auto with = test::copy_of(strong, "bn1.weight"), without = test::copy_of(plain, "bn1.weight");
  EXPECT_NEAR(with[0], without[0] - 0.025f, 1e-6);
  EXPECT_NEAR(with[1], without[1] + 0.025f, 1e-6);
  EXPECT_EQ(with[2], without[2]);
  EXPECT_EQ(test::copy_of(strong, "conv1.weight"), test::copy_of(plain, "conv1.weight"));
  EXPECT_EQ(test::copy_of(strong, "bn1.bias"), test::copy_of(plain, "bn1.bias"));
  // It goes through the momentum: after n steps of equal gradients a scale has moved by lr * l1 * (1 + 1.9 + ...).
  EXPECT_NEAR(strong.params().slot(test::named(strong, "bn1.weight"), 0)[0] -
                  plain.params().slot(test::named(plain, "bn1.weight"), 0)[0],
              0.25f, 1e-6);
}

TEST(Slimming, RemovesTheChannelsOfTheSmallestScalesAndFineTunesWithoutThePenalty) {
  auto trial = test::residual_trial({{"name", "slimming"}, {"prune", "0.4"}, {"l1", "0.01"}, {"fine_tune", "3it"}},
                                    {{"epochs", "6it"}, {"lr", "0.02"}});
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  const std::int64_t before = test::parameters_of(trainer.model());
  for (int i = 0; i < 6; ++i) trainer.train_step();
  MemoryState ended;
  trainer.save(ended);
  const ChannelGroups groups = trainer.channel_groups();
  const ParamStore& params = trainer.params();
  const auto scores = scored_groups(
      groups, params.specs(), batch_norm_scales(trainer.model()),
      [&](ParamId id, std::int64_t i) { return std::abs(params.weight(id)[static_cast<std::size_t>(i)]); });
  const Gone expected = lowest_groups(scores, {.share = 0.4});
  EXPECT_EQ(expected.size(), 160u);
  Model by_hand = trainer.model();
  remove_channels(by_hand, expected);

  auto again_trial =
      test::residual_trial({{"name", "slimming"}, {"prune", "0.4"}, {"l1", "0.01"}, {"fine_tune", "3it"}},
                           {{"epochs", "6it"}, {"lr", "0.02"}});
  Trainer again = again_trial.make();
  const Trainer::Outcome outcome = again.run();
  EXPECT_FALSE(outcome.diverged);
  EXPECT_EQ(outcome.step, 6);
  EXPECT_EQ(again.cursor().phase, 1);
  EXPECT_LT(test::parameters_of(again.model()), before);
  for (std::size_t p = 0; p < by_hand.params.size(); ++p) {
    EXPECT_EQ(by_hand.params[p].shape, again.model().params[p].shape) << by_hand.params[p].name;
  }
  UpdateGraph first(again.params(), again_trial.train(), 0), second(again.params(), again_trial.train(), 1);
  again_trial.method().edit_update(first);
  again_trial.method().edit_update(second);
  EXPECT_EQ(first.graph().node_count(), 19u);
  EXPECT_EQ(second.graph().node_count(), 0u);
}

}  // namespace
}  // namespace winnow
