// Trials on a device: every step as on the CPU, and the same bits when it is done again. Events (masks, probes, growth,
// rewinding) are host code on copies, so what is tested is that each copy is fetched and sent when it must be.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <ostream>

#include "tests/device/emulated.h"
#include "tests/training/small_trial.h"

namespace winnow::test {
namespace {

struct TrialCase {
  std::string name, model;
  Pairs method, train = {}, data = {};
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
  Pairs settings = {{"epochs", "2"}, {"batch", "8"}, {"eval_batch", "10"}};
  settings.insert(settings.end(), of.train.begin(), of.train.end());
  Pairs data = {{"examples", "32"}, {"test_examples", "20"}};
  data.insert(data.end(), of.data.begin(), of.data.end());
  SmallTrial trial(of.model, of.method, settings, data);
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
#endif
    ASSERT_EQ(found.losses.size(), expected.losses.size());
    for (std::size_t i = 0; i < found.losses.size(); ++i) {
      EXPECT_NEAR(found.losses[i], expected.losses[i], 0.02 * std::abs(expected.losses[i])) << "step " << i;
    }
    EXPECT_NEAR(found.test_loss, expected.test_loss, 0.02 * expected.test_loss);
    if (round == 0) first = found;
    EXPECT_EQ(found, first);
  }
}

// Small images: the emulator runs some ten million lanes a second.
const Pairs kTiny = {{"height", "8"}, {"width", "8"}};

std::vector<TrialCase> trials() {
  return {
      {"dense", "lenet300", {{"name", "dense"}}, {}, kTiny},
      {"adam_clipped", "lenet300", {{"name", "dense"}}, {{"optimizer", "adam"}, {"clip_norm", "0.5"}}, kTiny},
      {"sam", "lenet300", {{"name", "dense"}}, {{"optimizer", "sam"}}, kTiny},
      {"snip", "lenet300", {{"name", "snip"}, {"density", "0.2"}}, {}, kTiny},
      {"gmp", "lenet300", {{"name", "gmp"}, {"density", "0.2"}}, {}, kTiny},
      {"rigl", "lenet300", {{"name", "rigl"}, {"density", "0.2"}}, {}, kTiny},
      {"freezenet", "lenet300", {{"name", "freezenet"}, {"density", "0.2"}}, {}, kTiny},
      {"imp", "lenet300", {{"name", "imp"}}, {{"epochs", "1"}}, kTiny},
      {"edge_popup", "lenet300", {{"name", "edge_popup"}}, {}, kTiny},
      {"compander", "lenet300", {{"name", "compander"}}, {}, kTiny},
      {"resnet20",
       "resnet20",
       {{"name", "dense"}},
       {{"epochs", "1"}, {"batch", "4"}},
       {{"height", "8"}, {"width", "8"}, {"examples", "12"}, {"test_examples", "10"}}},
  };
}

INSTANTIATE_TEST_SUITE_P(Trials, DeviceTrial, testing::ValuesIn(trials()),
                         [](const auto& at) { return at.param.name; });

}  // namespace
}  // namespace winnow::test
