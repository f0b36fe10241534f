// Trials on a device: every step as on the CPU, and the same bits when it is done again. Events (masks, probes, growth,
// rewinding) are host code on copies, so what is tested is that each copy is fetched and sent when it must be.
#include <gtest/gtest.h>

#include "tests/device/device_trial.h"
#include "tests/device/twin.h"

namespace winnow::test {
namespace {

Seen train_here(const TrialCase& of, std::shared_ptr<DeviceStream> stream) {
  Twin twin;
  return train(of, {std::move(stream), of.ranks ? &twin : nullptr});
}

class DeviceTrial : public testing::TestWithParam<TrialCase> {};

TEST_P(DeviceTrial, FollowsTheCpuAndRepeatsBitForBit) {
  const Seen expected = train_here(GetParam(), nullptr);
  Seen first;
  for (int round = 0; round < 2; ++round) {
#if defined(WINNOW_EMULATED)
    machine_of(1, round == 0 ? emulator::LaneOrder::Forward : emulator::LaneOrder::Shuffled);
#endif
    const Seen found = train_here(GetParam(), open_device());
#if defined(WINNOW_EMULATED)
    expect_clean_machine();
    for (const auto within : {emulator::Within::Direct, emulator::Within::Graphs}) {
      EXPECT_GT(emulator::counts(within).library, 0u) << "layers are the libraries', in recordings too";
    }
#endif
    expect_near(found, expected, GetParam().tolerance);
    if (round == 0) first = found;
    EXPECT_EQ(found, first);
  }
}

// Every method on the model of its example, which a new method brings along, and what touches the update alone.
std::vector<TrialCase> trials() {
  const Pairs small = small_images(), tiny = tiny_images();
  std::vector<TrialCase> all = {
      {"adam_clipped", "lenet300", {{"name", "dense"}}, {{"optimizer", "adam"}, {"clip_norm", "0.5"}}, tiny},
      {"adamw", "lenet300", {{"name", "dense"}}, {{"optimizer", "adamw"}}, tiny},
      {"adam_mini", "lenet300", {{"name", "dense"}}, {{"optimizer", "adam_mini"}}, tiny},
      {"sam", "lenet300", {{"name", "dense"}}, {{"optimizer", "sam"}}, tiny},
      {"ranks", "lenet300", {{"name", "gmp"}, {"density", "0.2"}}, {}, tiny, 0.02, true},
      {"ranks_with_statistics", "resnet20", {{"name", "dense"}}, {{"epochs", "1"}}, tiny, 0.02, true},
      {"resnet20", "resnet20", {{"name", "dense"}}, {{"epochs", "1"}}, tiny},
      // Sums of batch norms have another order than on the CPU, and what bf16 then rounds differently grows with the layers.
      {"resnet20_in_bf16", "resnet20", {{"name", "dense"}}, {{"epochs", "1"}, {"precision", "bf16"}}, tiny, 0.08},
      {"fused_statistics", "resnet20", {{"name", "dense"}}, {{"epochs", "1"}, {"fuse_statistics", "true"}}, tiny},
      // And statistics are those of numbers that are not rounded yet.
      {"fused_statistics_in_bf16",
       "resnet20",
       {{"name", "dense"}},
       {{"epochs", "1"}, {"fuse_statistics", "true"}, {"precision", "bf16"}},
       tiny,
       0.16},
      {"fused_statistics_sam",
       "resnet20",
       {{"name", "dense"}},
       {{"epochs", "1"}, {"fuse_statistics", "true"}, {"optimizer", "sam"}},
       tiny},
      {"lenet300_in_bf16", "lenet300", {{"name", "dense"}}, {{"precision", "bf16"}}, tiny, 0.05},
      {"conv2", "conv2", {{"name", "dense"}}, {{"epochs", "1"}}, tiny},
      {"conv2_in_bf16", "conv2", {{"name", "dense"}}, {{"epochs", "1"}, {"precision", "bf16"}}, tiny, 0.05},
      {"lenet5_in_bf16", "lenet5", {{"name", "dense"}}, {{"precision", "bf16"}}, small, 0.05},
  };
  for (const Recipe& recipe : each_method()) {
    all.push_back({recipe.name, recipe.model, recipe.method, {}, recipe.model == "lenet5" ? small : tiny});
    // Which channels go is decided by sums that the device takes in another order.
    if (recipe.name == "taylor") all.back().tolerance = 0.05;
  }
  return all;
}

// Cropped and mirrored by the device, as the trial's seed has it.
TEST(DeviceTrial, AugmentsImagesAsTheCpuDoes) {
  TrialCase plain{"plain", "lenet300", {{"name", "dense"}}, {{"lr", "0.05"}}, tiny_images()}, augmented = plain;
  augmented.data.emplace_back("augment", "standard");
  const Seen without = train_here(plain, nullptr), expected = train_here(augmented, nullptr);
#if defined(WINNOW_EMULATED)
  machine_of(1);
#endif
  const Seen found = train_here(augmented, open_device());
  expect_near(found, expected, 0.02);
  ASSERT_EQ(without.losses.size(), expected.losses.size());
  bool differs = false;
  for (std::size_t i = 0; i < without.losses.size(); ++i) {
    differs = differs || std::abs(without.losses[i] - expected.losses[i]) > 0.1 * expected.losses[i];
  }
  EXPECT_TRUE(differs) << "it is not seen whether images are augmented";
}

INSTANTIATE_TEST_SUITE_P(Trials, DeviceTrial, testing::ValuesIn(trials()),
                         [](const auto& at) { return at.param.name; });

}  // namespace
}  // namespace winnow::test
