// Structured sparsity learning: which groups there are, what a step does to them, how zeros are counted.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "experiments/methods/toolkit/weight_groups.h"
#include "tests/methods/trial_tools.h"
#include "tests/training/whole_trial.h"

namespace winnow {
namespace {

using test::copy_of;
using test::named;
using test::Pairs;
using test::result_of;
using test::SmallTrial;
using test::spec_of;

const Pairs kPlainSgd = {{"lr", "0.1"}, {"momentum", "0"}, {"weight_decay", "0"}};

Pairs ssl(const Pairs& settings) {
  Pairs method = {{"name", "ssl"}, {"filters", "0"}, {"channels", "0"}, {"shapes", "0"}};
  method.insert(method.end(), settings.begin(), settings.end());
  return method;
}

struct GroupsOf {
  explicit GroupsOf(const std::string& model, const Pairs& settings = {}, const DataShape& data = {16, 16, 3, 10})
      : edited(test::edited_model(model, settings, {{"name", "dense"}}, data)), editor(edited, train) {}
  std::int64_t count(std::vector<WeightGroups> (*find)(const GraphEditor&)) const {
    std::int64_t sum = 0;
    for (const WeightGroups& groups : find(editor)) sum += groups.groups;
    return sum;
  }
  Settings train;
  Model edited;
  GraphEditor editor;
};

TEST(WeightGroups, OfLeNet5) {
  const GroupsOf lenet("lenet5", {}, {28, 28, 1, 10});
  // 20x1x5x5, 50x20x5x5, 500x800, 10x500: the rows of the last are the classes, the image is no channel.
  EXPECT_EQ(lenet.count(filter_groups), 20 + 50 + 500);
  EXPECT_EQ(lenet.count(channel_groups), 20 + 800 + 500);
  EXPECT_EQ(lenet.count(shape_groups), 25 + 20 * 25);
  EXPECT_EQ(lenet.count(branch_groups), 0);
}

TEST(WeightGroups, ABranchOfAResidualBlockIsWithoutItsShortcut) {
  const GroupsOf resnet("resnet20", {{"shortcut", "projection"}});
  const std::vector<WeightGroups> branches = branch_groups(resnet.editor);
  ASSERT_EQ(branches.size(), 9u);
  for (const WeightGroups& branch : branches) {
    ASSERT_EQ(branch.tensors.size(), 2u);
    for (const ParamId id : branch.tensors) {
      EXPECT_EQ(resnet.edited.param(id).name.find("shortcut"), std::string::npos) << resnet.edited.param(id).name;
    }
  }
  EXPECT_EQ(branches.front().size, 2 * 16 * 16 * 9);
  EXPECT_EQ(branches.back().size, 2 * 64 * 64 * 9);
}

TEST(WeightGroups, ADepthwiseConvolutionHasNoChannelsOfItsOwn) {
  const GroupsOf mobile("mobilenet_v1");
  for (const WeightGroups& groups : channel_groups(mobile.editor)) {
    EXPECT_GT(mobile.edited.param(groups.tensors.front()).shape[1], 1) << "one group would be the whole tensor";
  }
}

// The proximal step of the specification, in double: filters, then channels, then shapes.
void shrink(std::vector<double>& w, std::int64_t groups, std::int64_t inner, double t) {
  std::vector<double> norms(static_cast<std::size_t>(groups), 0.0);
  const auto group = [&](std::size_t i) {
    return static_cast<std::size_t>(static_cast<std::int64_t>(i) / inner % groups);
  };
  for (std::size_t i = 0; i < w.size(); ++i) norms[group(i)] += w[i] * w[i];
  for (std::size_t i = 0; i < w.size(); ++i) w[i] *= std::max(0.0, 1 - t / std::sqrt(norms[group(i)]));
}

TEST(Ssl, AProximalStepIsTheOptimisersAndThenThatOfEachFamily) {
  for (const char* size_weight : {"false", "true"}) {
    SmallTrial plain("lenet5", {{"name", "dense"}}, kPlainSgd);
    SmallTrial shrinking(
        "lenet5", ssl({{"filters", "0.2"}, {"channels", "0.1"}, {"shapes", "0.3"}, {"size_weight", size_weight}}),
        kPlainSgd);
    Trainer a = plain.make(), b = shrinking.make();
    a.start_phase(0);
    b.start_phase(0);
    EXPECT_EQ(a.train_step().loss, b.train_step().loss);
    const std::string name = "conv2.weight";
    const Shape shape = a.params().specs()[static_cast<std::size_t>(named(a, name))].shape;
    const std::vector<float> stepped = copy_of(a, name);
    std::vector<double> expected(stepped.begin(), stepped.end());
    const std::int64_t taps = shape[2] * shape[3];
    const auto sized = [&](std::int64_t size) {
      return std::string(size_weight) == "true" ? std::sqrt(static_cast<double>(size)) : 1.0;
    };
    shrink(expected, shape[0], shape[1] * taps, 0.1 * 0.2 * sized(shape[1] * taps));
    shrink(expected, shape[1], taps, 0.1 * 0.1 * sized(shape[0] * taps));
    shrink(expected, shape[1] * taps, 1, 0.1 * 0.3 * sized(shape[0]));
    const std::vector<float> found = copy_of(b, name);
    for (std::size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(static_cast<double>(found[i]), expected[i], 2e-6) << i;
  }
}

// Beside a method that gives each layer a rate of its own, a layer shrinks by that.
TEST(Ssl, AProximalStepIsAsLongAsTheRateOfItsLayer) {
  const Pairs freezeout = {{"with.freezeout", "on"}, {"with.freezeout.t0", "0.5"}, {"with.freezeout.scaled", "true"}};
  SmallTrial plain("lenet5", test::method_of("freezeout", {{"t0", "0.5"}, {"scaled", "true"}}), kPlainSgd);
  Pairs both = ssl({{"filters", "0.2"}});
  both.insert(both.end(), freezeout.begin(), freezeout.end());
  SmallTrial shrinking("lenet5", both, kPlainSgd);
  Trainer a = plain.make(), b = shrinking.make();
  a.start_phase(0);
  b.start_phase(0);
  const std::string name = "conv2.weight";
  const double factor = plain.method().rate(named(a, name), 0, a.length());
  EXPECT_GT(factor, 1.5) << "a layer that is frozen early begins faster";
  a.train_step();
  b.train_step();
  const Shape shape = a.params().specs()[static_cast<std::size_t>(named(a, name))].shape;
  const std::vector<float> stepped = copy_of(a, name), found = copy_of(b, name);
  std::vector<double> expected(stepped.begin(), stepped.end());
  shrink(expected, shape[0], shape.numel() / shape[0], 0.1 * factor * 0.2);
  for (std::size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(static_cast<double>(found[i]), expected[i], 2e-6) << i;
}

// What is reported is the sum that the step found, with the next batch; at the start that of the start values. Nodes of
// norms are those of the update alone.
TEST(Ssl, TheSumsThatAreReportedAreThoseOfTheProximalStep) {
  SmallTrial plain("lenet5", {{"name", "dense"}}, kPlainSgd);
  SmallTrial shrinking("lenet5", ssl({{"filters", "0.2"}, {"size_weight", "true"}}), kPlainSgd);
  Trainer a = plain.make(), b = shrinking.make();
  a.start_phase(0);
  b.start_phase(0);
  const auto lasso = [](Trainer& trainer) {
    Model model = trainer.model();
    const Settings none;
    const GraphEditor editor(model, none);
    double sum = 0;
    for (const WeightGroups& groups : filter_groups(editor)) {
      for (const double norm : norms_of(trainer.params(), groups)) {
        sum += norm * std::sqrt(static_cast<double>(groups.size));
      }
    }
    return 0.2 * sum;
  };
  const double at_start = lasso(a);
  EXPECT_NEAR(b.train_step().losses.at(0), at_start, 1e-4 * at_start);
  a.train_step();
  const double stepped = lasso(a);  // before it shrinks
  EXPECT_NEAR(b.train_step().losses.at(0), stepped, 1e-4 * stepped);
  for (const Node& node : b.model().graph.nodes()) EXPECT_NE(node.op, "group_norms");
}

TEST(Ssl, TheSubgradientIsTheUnitVectorOfEachGroupAndZeroForAZeroOne) {
  SmallTrial plain("lenet5", {{"name", "dense"}}, kPlainSgd);
  SmallTrial shrinking("lenet5", ssl({{"filters", "0.2"}, {"step", "subgradient"}}), kPlainSgd);
  Trainer a = plain.make(), b = shrinking.make();
  const std::string name = "conv2.weight";
  for (Trainer* trainer : {&a, &b}) {
    trainer->start_phase(0);
    const auto weight = trainer->params().change(named(*trainer, name));
    std::fill_n(weight.begin(), weight.size() / 50, 0.0f);  // the first filter
  }
  const std::vector<float> start = copy_of(a, name);
  a.train_step();
  b.train_step();
  const std::vector<float> stepped = copy_of(a, name), found = copy_of(b, name);
  const std::size_t size = start.size() / 50;
  for (std::size_t o = 0; o < 50; ++o) {
    double norm = 0;
    for (std::size_t i = o * size; i < (o + 1) * size; ++i)
      norm += static_cast<double>(start[i]) * static_cast<double>(start[i]);
    norm = std::sqrt(norm);
    for (std::size_t i = o * size; i < (o + 1) * size; ++i) {
      const double pull = norm == 0 ? 0 : 0.1 * 0.2 * static_cast<double>(start[i]) / norm;
      ASSERT_NEAR(static_cast<double>(found[i]), static_cast<double>(stepped[i]) - pull, 2e-6) << i;
    }
  }
}

// A group at zero leaves it only where its gradient is larger than lambda.
TEST(Ssl, AZeroGroupStaysZeroUnlessItsGradientExceedsLambda) {
  for (const double lambda : {1e-6, 50.0}) {
    SmallTrial trial("lenet5", ssl({{"filters", fmt::format("{}", lambda)}}), kPlainSgd);
    Trainer trainer = trial.make();
    trainer.start_phase(0);
    const std::string name = "fc1.weight";
    const auto weight = trainer.params().change(named(trainer, name));
    std::ranges::fill(weight, 0.0f);
    const auto bias = trainer.params().change(named(trainer, "fc1.bias"));
    std::ranges::fill(bias, 1.0f);  // so that the gradient passes its ReLU
    trainer.train_step();
    const std::vector<float> after = copy_of(trainer, name);
    const bool zero = std::ranges::all_of(after, [](float w) { return w == 0; });
    EXPECT_EQ(zero, lambda > 1) << lambda;
  }
}

TEST(Ssl, NoLambdaIsTheDenseRunBitForBit) {
  SmallTrial plain("lenet5"), none("lenet5", ssl({{"cut", "0"}}));
  Trainer a = plain.make(), b = none.make();
  a.run();
  b.run();
  EXPECT_EQ(test::all_weights(a), test::all_weights(b));
}

constexpr const char* kShort = "epochs: 4, batch: 32, lr: 0.05, momentum: 0.5, precision: f32";
constexpr const char* kStrong = "{name: ssl, filters: 0.6, channels: 0.05, shapes: 0.02}";

const std::vector<double>& real_column(const Table& table, const std::string& name) {
  const auto found = std::ranges::find(table.columns, name, &Column::name);
  EXPECT_NE(found, table.columns.end()) << name;
  return std::get<std::vector<double>>(found->values);
}

// Nothing has a mask, and everything counts what is zero.
TEST(Ssl, ZerosWithoutMasksAreCountedEverywhere) {
  const TrialResult dense = result_of(spec_of("{name: dense}", kShort, "", "lenet5", 28));
  const TrialResult result = result_of(spec_of(kStrong, kShort, "", "lenet5", 28));
  ASSERT_EQ(result.outcome, Outcome::Done) << result.reason;
  const auto value = [&](const char* name) { return result.summary.at(name); };
  std::int64_t nonzero = 0, prunable = 0, zero_filters = 0, filters = 0;
  for (const WeightRecord& weight : result.weights) {
    if (!weight.prunable) continue;
    const std::int64_t rows = weight.shape[0], size = weight.shape.numel() / rows;
    prunable += weight.shape.numel();
    nonzero += weight.shape.numel() - std::ranges::count(weight.values, 0.0f);
    if (weight.name == "fc2.weight") continue;  // the classes
    for (std::int64_t o = 0; o < rows; ++o, ++filters) {
      const auto row =
          std::span(weight.values).subspan(static_cast<std::size_t>(o * size), static_cast<std::size_t>(size));
      zero_filters += std::ranges::all_of(row, [](float w) { return w == 0; }) ? 1 : 0;
    }
  }
  ASSERT_GT(zero_filters, 5) << "the setting must act";
  ASSERT_LT(zero_filters, filters);
  EXPECT_EQ(value("method.zero_filters"), static_cast<double>(zero_filters) / static_cast<double>(filters));
  const double density = static_cast<double>(nonzero) / static_cast<double>(prunable);
  EXPECT_EQ(value("density"), density);
  EXPECT_EQ(value("sparsity.prunable"), 1 - density);
  EXPECT_EQ(value("params.kept"), value("params.total") - static_cast<double>(prunable - nonzero));
  EXPECT_LT(value("macs.sparse"), value("macs.dense"));
  EXPECT_LT(value("stored.bits"), dense.summary.at("stored.bits"));
  EXPECT_LT(value("flops.train"), dense.summary.at("flops.train"));
  EXPECT_EQ(value("params.trained"), dense.summary.at("params.trained")) << "a zero without a mask is trained";
  EXPECT_EQ(dense.summary.at("density"), 1);
}

TEST(Ssl, ItsLossStandsApartInTheTables) {
  const std::string rows = "  save: {metrics: {every: 4}}\n";
  const TrialResult dense = result_of(spec_of("{name: dense}", kShort, rows, "lenet5", 28));
  const TrialResult result = result_of(spec_of(kStrong, kShort, rows, "lenet5", 28));
  for (const Table* table : {&result.epochs, &result.steps}) {
    for (const char* family : {"filters", "channels", "shapes"}) {
      const auto& loss = real_column(*table, std::string("loss.ssl.") + family);
      ASSERT_GE(loss.size(), 4u) << family;
      EXPECT_GT(loss.front(), 0);
      EXPECT_LT(loss.back(), loss.front()) << family;
    }
  }
  for (const Column& column : dense.epochs.columns) EXPECT_FALSE(column.name.starts_with("loss."));
  for (const WeightRecord& weight : result.weights) EXPECT_FALSE(weight.name.starts_with("ssl.")) << weight.name;
}

TEST(Ssl, FineTuningKeepsZerosAtZeroAndIsWithoutTheLasso) {
  SmallTrial trial("lenet5", ssl({{"filters", "1"}, {"fine_tune", "10it"}}), {{"lr", "0.01"}});
  Trainer trainer = trial.make();
  const auto outcome = trainer.run();
  EXPECT_FALSE(outcome.diverged);
  EXPECT_EQ(trainer.cursor().phase, 1);
  std::int64_t pruned = 0;
  for (const ParamId id : trainer.prunable()) {
    const auto keep = trainer.params().mask(id, MaskKind::Keep);
    ASSERT_FALSE(keep.empty());
    pruned += std::ranges::count(keep, 0);
  }
  EXPECT_GT(pruned, 0);
  EXPECT_EQ(trainer.train_step().losses.at(0), 0);
}

// The learning rate is tiny, so that only the cut makes zeros.
TEST(Ssl, GroupsThatAreAlmostZeroAreCutAtTheEnd) {
  for (const char* cut : {"0", "0.01"}) {
    SmallTrial trial("lenet5", ssl({{"filters", "1e-9"}, {"cut", cut}}), {{"lr", "1e-9"}, {"weight_decay", "0"}});
    Trainer trainer = trial.make();
    trainer.start_phase(0);
    const ParamId id = named(trainer, "conv1.weight");
    std::fill_n(trainer.params().change(id).begin(), 25, 1e-4f);  // the first filter
    while (trainer.step() < trainer.length().steps) trainer.train_step();
    const auto after = trainer.params().weight(id);
    EXPECT_EQ(after[0] == 0, std::string(cut) != "0") << cut;
    EXPECT_NE(after[25], 0);
  }
}

TEST(Ssl, RefusesWhatItCannotShrink) {
  EXPECT_THROW(test::edited_model("lenet5", {}, {{"name", "ssl"}, {"blocks", "0.1"}}, {28, 28, 1, 10}), Error);
  EXPECT_THROW(test::edited_model("lenet5", {}, {{"name", "ssl"}, {"with.compander", "on"}}, {28, 28, 1, 10}), Error);
  EXPECT_NO_THROW(test::edited_model("resnet20", {}, {{"name", "ssl"}, {"blocks", "0.1"}}, {16, 16, 3, 10}));
}

}  // namespace
}  // namespace winnow
