// Trials on a device: every step as on the CPU, and the same bits when it is done again. Events (masks, probes, growth,
// rewinding) are host code on copies, so what is tested is that each copy is fetched and sent when it must be.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <ostream>

#include "tests/device/emulated.h"
#include "tests/device/twin.h"
#include "tests/training/process.h"

namespace winnow::test {
namespace {

struct TrialCase {
  std::string name, model;
  Pairs method, train = {}, data = {};
  double tolerance = 0.02;  // relative, of every loss
  bool ranks = false;       // with a neighbour
  friend std::ostream& operator<<(std::ostream& stream, const TrialCase& trial) { return stream << trial.name; }
};

// What is seen of a trial: the loss of every step, and the test loss and weights at its end.
struct Seen {
  std::vector<double> losses;
  double test_loss = 0;
  std::vector<float> weights;
  bool operator==(const Seen&) const = default;
};

class Losses final : public TrainObserver {
 public:
  void step_done(const StepReport& report) override { all.push_back(report.loss); }
  std::vector<double> all;
};

Seen train(const TrialCase& of, std::shared_ptr<DeviceStream> stream) {
  Pairs settings = {{"epochs", "2"}, {"batch", "4"}, {"eval_batch", "10"}, {"lr", "0.01"}};
  settings.insert(settings.end(), of.train.begin(), of.train.end());
  Pairs data = {{"examples", "16"}, {"test_examples", "10"}};
  data.insert(data.end(), of.data.begin(), of.data.end());
  Twin twin;
  SmallTrial trial(of.model, of.method, settings, data, {}, of.ranks ? &twin : nullptr);
  Losses losses;
  trial.observer = &losses;
  ProgramCache programs(std::move(stream));
  TrainJob job = trial.job();
  job.programs = &programs;
  Trainer trainer(job);
  trainer.run();
  Seen seen{losses.all, trainer.evaluate(Split::Test).loss, all_weights(trainer)};
  return seen;
}

class DeviceTrial : public testing::TestWithParam<TrialCase> {};

TEST_P(DeviceTrial, FollowsTheCpuAndRepeatsBitForBit) {
  const Seen expected = train(GetParam(), nullptr);
  Seen first;
  for (int round = 0; round < 2; ++round) {
#if defined(WINNOW_EMULATED)
    emulator::reset();
    emulator::set_lane_order(round == 0 ? emulator::LaneOrder::Forward : emulator::LaneOrder::Shuffled, 3);
#endif
    const Seen found = train(GetParam(), open_device());
#if defined(WINNOW_EMULATED)
    for (const emulator::Report& report : emulator::reports()) ADD_FAILURE() << report.work << ": " << report.what;
    EXPECT_EQ(emulator::live(), emulator::Live{});
    for (const auto within : {emulator::Within::Direct, emulator::Within::Graphs}) {
      EXPECT_GT(emulator::counts(within).library, 0u) << "layers are the libraries', in recordings too";
    }
#endif
    ASSERT_EQ(found.losses.size(), expected.losses.size());
    for (std::size_t i = 0; i < found.losses.size(); ++i) {
      EXPECT_NEAR(found.losses[i], expected.losses[i], GetParam().tolerance * std::abs(expected.losses[i]))
          << "step " << i;
    }
    EXPECT_NEAR(found.test_loss, expected.test_loss, GetParam().tolerance * expected.test_loss);
    if (round == 0) first = found;
    EXPECT_EQ(found, first);
  }
}

// Every method on the model of its example, which a new method brings along, and what touches the update alone. Small
// images: the emulator runs some ten million lanes a second.
std::vector<TrialCase> trials() {
  const Pairs small = {
      {"height", "16"}, {"width", "16"}, {"channels", "3"}, {"classes", "3"}};  // LeNet-5 needs that much
  const Pairs tiny = {{"height", "8"}, {"width", "8"}, {"channels", "3"}, {"classes", "3"}};
  std::vector<TrialCase> all = {
      {"adam_clipped", "lenet300", {{"name", "dense"}}, {{"optimizer", "adam"}, {"clip_norm", "0.5"}}, tiny},
      {"adam_mini", "lenet300", {{"name", "dense"}}, {{"optimizer", "adam_mini"}}, tiny},
      {"sam", "lenet300", {{"name", "dense"}}, {{"optimizer", "sam"}}, tiny},
      {"ranks", "lenet300", {{"name", "gmp"}, {"density", "0.2"}}, {}, tiny, 0.02, true},
      {"ranks_with_statistics", "resnet20", {{"name", "dense"}}, {{"epochs", "1"}}, tiny, 0.02, true},
      {"resnet20", "resnet20", {{"name", "dense"}}, {{"epochs", "1"}}, tiny},
      {"resnet20_in_bf16", "resnet20", {{"name", "dense"}}, {{"epochs", "1"}, {"precision", "bf16"}}, tiny, 0.05},
      {"lenet5_in_bf16", "lenet5", {{"name", "dense"}}, {{"precision", "bf16"}}, small, 0.05},
  };
  for (const Recipe& recipe : each_method()) {
    all.push_back({recipe.name, recipe.model, recipe.method, {}, recipe.model == "lenet5" ? small : tiny});
    // Which channels go is decided by sums that the device takes in another order.
    if (recipe.name == "taylor") all.back().tolerance = 0.05;
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Trials, DeviceTrial, testing::ValuesIn(trials()),
                         [](const auto& at) { return at.param.name; });

}  // namespace
}  // namespace winnow::test
