// Taylor pruning: importance against numbers worked out by hand, who goes, and what is left of a net.
#include "experiments/methods/taylor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>

#include "core/error.h"
#include "experiments/methods/toolkit/channel_tools.h"
#include "tests/methods/trial_tools.h"

namespace winnow {
namespace {

using test::Pairs;
using Gone = std::vector<std::int64_t>;

Pairs taylor(const Pairs& extra) { return test::method_of("taylor", extra); }

TEST(TaylorImportance, IsTheSquareOfTheGatesGradients) {
  const std::array<double, 3> gradients = {0.2, -0.05, 0.4}, expected = {0.04, 0.0025, 0.16};
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(taylor_importance(std::span(&gradients[i], 1)), expected[i], 1e-12);
  EXPECT_NEAR(taylor_importance(std::array{0.5, -0.2, 0.3}), 0.12, 1e-12) << "of a residual sum: (0.6)^2 over 3";
}

TEST(TaylorImportance, KeepsAShareOfTheRoundBefore) {
  EXPECT_NEAR(kept_importance(4, 9, 0.9), 4.5, 1e-12);
  EXPECT_EQ(kept_importance(std::nullopt, 9, 0.9), 9);
  // Weights (1, 2) with gradients (.5, -.1) and (-.3, .2) on two batches: the mean of squares, not the square of the mean.
  const double mean = (taylor_importance(std::array{0.5 - 0.2}) + taylor_importance(std::array{-0.3 + 0.4})) / 2;
  EXPECT_NEAR(mean, 0.05, 1e-12);
}

TEST(LowestGroups, SoManyGoAndEachFamilyKeepsItsBest) {
  const std::vector<ScoredGroup> groups = {{0, 0, 3}, {1, 0, 1}, {2, 0, 2}, {3, 1, 0.5}, {4, 1, 0.5}, {5, 1, 0.7}};
  EXPECT_EQ(lowest_groups(groups, 3), (Gone{1, 3, 4}));
  EXPECT_EQ(lowest_groups(groups, 1), (Gone{4})) << "of equal scores the later one";
  EXPECT_EQ(lowest_groups({{0, 0, 3}, {1, 1, 1}, {2, 0, 2}}, 1), (Gone{2})) << "the only one of its family stays";
  EXPECT_EQ(lowest_groups(groups, 9), (Gone{1, 2, 3, 4}));
}

// Filters [1, 2] and [1, -2] with gradients [.5, .25] have importance 1 and 0: a gate's gradient is the sum of weights times
// gradients of all that feeds it, here a filter and its bias.
TEST(Gates, HaveTheGradientOfWhatFeedsThem) {
  test::SmallTrial trial("lenet5");
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  for (int i = 0; i < 3; ++i) trainer.train_step();  // biases are no longer zero
  const ProbeResult gated = trainer.probe({.first_batch = 1, .edit = add_gates});
  const ProbeResult plain = trainer.probe({.first_batch = 1});
  EXPECT_NEAR(gated.loss, plain.loss, 1e-5);
  EXPECT_EQ(gated.named.size(), 3u) << "all layers but the last";
  for (const auto& [layer, gate] : gated.named) {
    std::vector<double> sums(gate.gradient.size());
    for (const std::string kind : {".weight", ".bias"}) {
      const ParamId id = test::named(trainer, layer + kind);
      const auto weight = trainer.params().weight(id);
      const std::vector<float>& gradient = plain.grads[static_cast<std::size_t>(id)];
      for (std::size_t i = 0; i < weight.size(); ++i) {
        sums[i * sums.size() / weight.size()] += static_cast<double>(weight[i]) * static_cast<double>(gradient[i]);
      }
    }
    for (std::size_t c = 0; c < sums.size(); ++c) EXPECT_NEAR(gate.gradient[c], sums[c], 1e-5) << layer;
  }
}

// Sums of scale times its gradient and shift times its gradient over the norms of each group, and how many norms.
std::map<std::size_t, std::pair<double, int>> by_scale_and_shift(Trainer& trainer, const ChannelGroups& groups) {
  const ProbeResult probed = trainer.probe({.first_batch = trainer.step()});
  const auto specs = trainer.params().specs();
  std::map<std::size_t, std::pair<double, int>> sums;
  for (const ParamId scale : batch_norm_scales(trainer.model())) {
    for (const std::uint32_t kind : {0, 1}) {  // the shift comes next
      const std::size_t p = static_cast<std::size_t>(scale) + kind;
      for (std::int64_t c = 0; c < specs[p].shape[0]; ++c) {
        const auto i = static_cast<std::size_t>(c);
        auto& [sum, norms] = sums[groups.group_of(specs[p].value, 0, c).value()];
        sum += static_cast<double>(trainer.params().weight(ParamId(p))[i]) * static_cast<double>(probed.grads[p][i]);
        norms += kind == 0 ? 1 : 0;
      }
    }
  }
  return sums;
}

// Two rounds worked out here, by other gradients than those of gates, and compared with what is removed.
TEST(Taylor, RemovesTheLeastImportantOfTheBatchesThatItTrainsOn) {
  auto trial = test::residual_trial(
      taylor(
          {{"prune", "0.25"}, {"remove", "60"}, {"interval", "2it"}, {"fine_tune.epochs", "6it"}, {"momentum", "0.5"}}),
      {{"epochs", "8it"}, {"momentum", "0.9"}});
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  for (int i = 0; i < 8; ++i) trainer.train_step();
  trainer.start_phase(1);
  std::vector<std::optional<double>> before(400);
  for (const std::int64_t left : {340, 300}) {
    const ChannelGroups groups = trainer.channel_groups();
    const Model whole = trainer.model();
    std::vector<ScoredGroup> scored;
    for (std::size_t g = 0; g < groups.groups().size(); ++g) {
      scored.push_back({static_cast<std::int64_t>(g), groups.groups()[g].family, 0});
    }
    EXPECT_EQ(scored.size(), before.size());
    for (int step = 0; step < 2; ++step) {
      for (const auto& [group, sum] : by_scale_and_shift(trainer, groups)) {
        scored[group].score += sum.first * sum.first / sum.second / 2;
      }
      trainer.train_step();
    }
    std::vector<std::optional<double>> now;
    for (std::size_t g = 0; g < scored.size(); ++g) {
      if (before[g]) scored[g].score = (*before[g] + scored[g].score) / 2;
    }
    const Gone gone = lowest_groups(scored, std::ssize(scored) - left);
    for (std::size_t g = 0; g < scored.size(); ++g) {
      if (std::ranges::count(gone, static_cast<std::int64_t>(g)) == 0) now.emplace_back(scored[g].score);
    }
    before = now;
    Model by_hand = whole;
    remove_channels(by_hand, gone);
    for (std::size_t p = 0; p < by_hand.params.size(); ++p) {
      EXPECT_EQ(by_hand.params[p].shape, trainer.model().params[p].shape) << by_hand.params[p].name;
    }
    EXPECT_EQ(std::ssize(trainer.channel_groups().groups()), left);
  }
  trainer.train_step();
  EXPECT_EQ(std::ssize(trainer.channel_groups().groups()), 300) << "the target is reached";
}

TEST(Taylor, WhatCannotBeIsRefused) {
  const auto edited = [](const char* model, const Pairs& extra) {
    test::edited_model(model, {}, taylor(extra), {32, 32, 3, 10});
  };
  EXPECT_NO_THROW(edited("resnet20", {{"prune", "0.9"}}));
  EXPECT_NO_THROW(edited("lenet5", {{"prune", "0.9"}})) << "no batch norm is needed";
  EXPECT_THROW(edited("resnet20", {{"prune", "0.99"}}), Error) << "fewer than layers";
  auto trial = test::residual_trial(taylor({{"remove", "1"}, {"fine_tune.epochs", "1ep"}}));
  EXPECT_THROW(trial.make().run(), Error) << "too short for so many rounds";
}

TEST(Taylor, LearnsWhileItRemoves) {
  auto trial = test::residual_trial(taylor({{"prune", "0.4"},
                                            {"remove", "50"},
                                            {"interval", "5it"},
                                            {"fine_tune.epochs", "3ep"},
                                            {"fine_tune.lr", "0.02"}}),
                                    {{"epochs", "6"}});
  Trainer trainer = trial.make();
  EXPECT_FALSE(trainer.run().diverged);
  EXPECT_EQ(std::ssize(trainer.channel_groups().groups()), 240);
  EXPECT_GT(trainer.evaluate(Split::Test).accuracy, .5);
}

}  // namespace
}  // namespace winnow
