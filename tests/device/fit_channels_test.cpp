// Trials whose images are padded where they become bf16 (fit_channels) have the bits of those that pad in each convolution.
#include <gtest/gtest.h>

#include <string>

#include "tests/device/device_trial.h"

#if defined(WINNOW_EMULATED)
namespace winnow::test {
namespace {

// Changes nothing but that somebody else reads the images in bf16, so that they stay as they are.
class LooksAtImages final : public Method {
 public:
  Touches touches() const override { return {}; }
  void edit(GraphEditor& editor) override {
    if (editor.use() != Use::Train) return;
    Graph& graph = editor.graph();
    const ValueId x = graph.nodes()[0].out[0];
    editor.add_loss({.name = "images", .value = graph.emit1("reduce_sum", {x}, {}, "look"), .trained = false});
  }
};

struct FitCase {
  std::string name, model;
  Pairs train = {};
  Pairs data = tiny_images();
  friend std::ostream& operator<<(std::ostream& stream, const FitCase& of) { return stream << of.name; }
};

struct Trained {
  Seen seen;
  std::int64_t channels = 0;  // of the images in bf16
};

Trained train_images(const FitCase& of, const std::shared_ptr<DeviceStream>& stream, Method* method) {
  Pairs settings = {{"epochs", "1"}, {"batch", "4"}, {"eval_batch", "10"}, {"lr", "0.01"}, {"precision", "bf16"}};
  settings.insert(settings.end(), of.train.begin(), of.train.end());
  Pairs data = {{"examples", "16"}, {"test_examples", "10"}};
  data.insert(data.end(), of.data.begin(), of.data.end());
  SmallTrial trial(of.model, {{"name", "dense"}}, settings, data);
  Losses losses;
  trial.observer = &losses;
  ProgramCache programs(stream);
  TrainJob job = method != nullptr ? with_method(trial, *method) : trial.job();
  job.programs = &programs;
  Trainer trainer(job);
  trainer.run();
  const ValueId x = trial.build()(4, DType::BF16).graph.nodes()[0].out[0];
  return {{losses.all, losses.accuracies, trainer.evaluate(Split::Test).loss, all_weights(trainer)},
          trainer.training_program().view(x).shape[3]};
}

class FittedChannels : public testing::TestWithParam<FitCase> {};

TEST_P(FittedChannels, HaveTheBitsOfThosePaddedInEachPass) {
  using emulator::LaneOrder;
  Seen first;
  for (const LaneOrder order : {LaneOrder::Forward, LaneOrder::Backward, LaneOrder::Shuffled}) {
    LooksAtImages looks;
    for (Method* method : {static_cast<Method*>(nullptr), static_cast<Method*>(&looks)}) {
      machine_of(1, order);
      const Trained found = train_images(GetParam(), open_device(), method);
      expect_clean_machine();
      EXPECT_EQ(found.channels, method == nullptr ? 8 : 3);
      if (first.losses.empty()) first = found.seen;
      EXPECT_EQ(found.seen, first) << "lane order " << static_cast<int>(order);
    }
  }
  EXPECT_EQ(first.losses.size(), 4u);
}

TEST_P(FittedChannels, AreNoneOnTheCpu) { EXPECT_EQ(train_images(GetParam(), nullptr, nullptr).channels, 3); }

INSTANTIATE_TEST_SUITE_P(
    Trials, FittedChannels,
    testing::Values(FitCase{"conv2", "conv2"}, FitCase{"conv2_sam", "conv2", {{"optimizer", "sam"}}},
                    FitCase{"lenet5", "lenet5", {}, small_images()}, FitCase{"resnet20", "resnet20"},
                    FitCase{"resnet20_fused_statistics", "resnet20", {{"fuse_statistics", "true"}}}),
    [](const auto& at) { return at.param.name; });

}  // namespace
}  // namespace winnow::test
#endif
