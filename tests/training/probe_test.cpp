// Probes on balanced sets, at a temperature, and with edits of their own that name values.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "core/error.h"
#include "distributed/balanced_set.h"
#include "experiments/methods/toolkit/channel_tools.h"
#include "tests/training/small_trial.h"

namespace winnow {
namespace {

using test::Pairs;
using test::SmallTrial;

const Pairs kImages = {{"height", "8"}, {"width", "8"}, {"channels", "3"}, {"examples", "320"}};

TEST(BalancedSet, HasTheNextExamplesOfEachClassInOrder) {
  SmallTrial trial("lenet300", {{"name", "dense"}}, {}, kImages);
  const TrainJob job = trial.job();
  const BalancedSet first = balanced_set(job, 3, 0), second = balanced_set(job, 3, 1), both = balanced_set(job, 6, 0);
  const std::size_t image = 8 * 8 * 3;
  ASSERT_EQ(first.labels.size(), 30u);
  for (std::size_t i = 0; i < 30; ++i) {
    EXPECT_EQ(first.labels[i], static_cast<std::int32_t>(i / 3));
    EXPECT_EQ(second.labels[i], first.labels[i]);
    for (const auto& [part, offset] : {std::pair(&first, 0), std::pair(&second, 3)}) {
      const float* here = part->images.as<float>() + i * image;
      const float* there = both.images.as<float>() + (i / 3 * 6 + i % 3 + static_cast<std::size_t>(offset)) * image;
      ASSERT_TRUE(std::equal(here, here + image, there)) << i;
    }
  }
  // The first of class 4 is the first of it in the training order.
  const auto source = job.data.train(job.batch(), job.seeds.data_order, job.seeds.augment, {});
  for (std::int64_t b = 0, found = 0; found == 0; ++b) {
    const Batch& batch = source->batch(b);
    const auto labels = batch.labels.span<std::int32_t>();
    const auto row = std::find(labels.begin(), labels.end(), 4) - labels.begin();
    if (row == std::ssize(labels)) continue;
    const float* image_of_4 = batch.images.as<float>() + row * static_cast<std::ptrdiff_t>(image);
    EXPECT_TRUE(std::equal(image_of_4, image_of_4 + image, first.images.as<float>() + 4 * 3 * image));
    ++found;
  }
}

TEST(BalancedSet, AClassWithTooFewExamplesIsNamed) {
  SmallTrial trial("lenet300", {{"name", "dense"}}, {}, kImages);
  try {
    balanced_set(trial.job(), 60, 0);
    ADD_FAILURE() << "320 examples hold no 60 of each of 10 classes";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Input);
    EXPECT_NE(std::string(error.what()).find("and 60 of every class are needed"), std::string::npos);
  }
}

// Gradients are averaged over parts and sets.
TEST(Probe, ABalancedProbeIsTheMeanOfItsSets) {
  SmallTrial trial("lenet300", {{"name", "dense"}}, {}, kImages);
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  ProbeRequest request{.input = ProbeRequest::Input::Balanced, .batches = 2, .per_class = 4, .parts = 2};
  const ProbeResult both = trainer.probe(request);
  request.batches = 1;
  const ProbeResult first = trainer.probe(request);
  request.first_batch = 1;
  const ProbeResult second = trainer.probe(request);
  EXPECT_NEAR(both.loss, (first.loss + second.loss) / 2, 1e-6);
  for (std::size_t i = 0; i < both.grads[0].size(); ++i) {
    ASSERT_NEAR(both.grads[0][i], (first.grads[0][i] + second.grads[0][i]) / 2, 1e-6);
  }
  request.parts = 1;
  EXPECT_NEAR(trainer.probe(request).loss, second.loss, 1e-6) << "without batch norm the cut makes no difference";
}

// Dividing logits by 4 is the same network with a last layer of a quarter.
TEST(Probe, ATemperatureDividesTheLogits) {
  SmallTrial trial("lenet300", {{"name", "dense"}}, {}, kImages);
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  const double tempered = trainer.probe({.temperature = 4}).loss;
  for (const ParamId id : {ParamId(trainer.params().size() - 2), ParamId(trainer.params().size() - 1)}) {
    for (float& value : trainer.params().change(id)) value /= 4;
  }
  EXPECT_NEAR(trainer.probe({}).loss, tempered, 1e-6);
}

// A gate of ones behind every batch norm, whose gradient must be that of scale and shift together: gamma dgamma + beta dbeta.
TEST(Probe, AGateHasTheGradientOfScaleAndShiftTogether) {
  SmallTrial trial("resnet20", {{"name", "dense"}}, {}, kImages);
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  for (int i = 0; i < 3; ++i) trainer.train_step();  // shifts are no longer zero
  const ProbeResult result = trainer.probe({.first_batch = 2, .edit = add_gates});
  const ProbeResult plain = trainer.probe({.first_batch = 2});
  EXPECT_NEAR(result.loss, plain.loss, 1e-5);
  EXPECT_EQ(result.named.size(), 19u);
  const auto specs = trainer.params().specs();
  std::map<std::string, std::size_t> index;
  for (std::size_t p = 0; p < specs.size(); ++p) index[specs[p].name] = p;
  for (const auto& [layer, gate] : result.named) {
    std::string name = layer;
    name.replace(name.rfind("conv"), 4, "bn");
    const std::size_t scale = index.at(name + ".weight"), shift = index.at(name + ".bias");
    const auto gamma = trainer.params().weight(ParamId(scale)), beta = trainer.params().weight(ParamId(shift));
    ASSERT_EQ(gate.gradient.size(), gamma.size()) << name;
    for (std::size_t c = 0; c < gamma.size(); ++c) {
      EXPECT_EQ(gate.value[c], 1);
      EXPECT_NEAR(gate.gradient[c], gamma[c] * plain.grads[scale][c] + beta[c] * plain.grads[shift][c], 1e-4) << name;
    }
  }
}

// Probes whose edits have one name share a network while it is the same one, and only so long.
TEST(Probe, ANamedEditIsMadeOnceForEachNetwork) {
  SmallTrial trial("resnet20", {{"name", "dense"}}, {}, kImages);
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  int edits = 0;
  const auto edit = [&](GraphEditor& editor) {
    ++edits;
    return add_gates(editor);
  };
  const auto gates_of = [&](std::int64_t batch, const std::string& name) {
    return trainer.probe({.first_batch = batch, .edit = edit, .edit_name = name}).named.at("conv1").gradient;
  };
  const auto first = gates_of(0, "gates"), other = gates_of(1, "gates"), again = gates_of(0, "gates");
  EXPECT_EQ(edits, 1);
  EXPECT_EQ(first, again);
  EXPECT_NE(first, other);
  EXPECT_EQ(gates_of(0, ""), first);
  EXPECT_EQ(gates_of(0, ""), first);
  EXPECT_EQ(edits, 3);
  const auto gone =
      static_cast<std::int64_t>(*trainer.channel_groups().group_of(trainer.model().params[0].value, 0, 5));
  trainer.remove_channels(std::span(&gone, 1));
  EXPECT_EQ(gates_of(0, "gates").size(), first.size() - 1);
}

// What layers read, row by row as in the batch.
TEST(Probe, ActivationsHaveTheRowsOfTheBatch) {
  SmallTrial trial("lenet300", {{"name", "dense"}}, {}, kImages);
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  const ProbeResult result = trainer.probe({.edit = [](GraphEditor& editor) {
    std::vector<NamedValue> inputs;
    for (const Layer& layer : editor.layers()) inputs.push_back({layer.name, layer.in});
    return inputs;
  }});
  const auto& first = result.named.at("fc1");
  const auto& second = result.named.at("fc2");
  ASSERT_EQ(first.shape, (Shape{32, 8 * 8 * 3}));
  ASSERT_EQ(second.shape, (Shape{32, 300}));
  EXPECT_EQ(second.gradient.size(), second.value.size());
  const auto weight = trainer.params().weight(ParamId(0)), bias = trainer.params().weight(ParamId(1));
  for (std::size_t row = 0; row < 32; ++row) {
    for (const std::size_t unit : {0, 7, 299}) {
      double sum = bias[unit];
      for (std::size_t i = 0; i < 192; ++i)
        sum += static_cast<double>(weight[unit * 192 + i]) * first.value[row * 192 + i];
      EXPECT_NEAR(second.value[row * 300 + unit], std::max(sum, 0.0), 1e-4);
    }
  }
}

}  // namespace
}  // namespace winnow
