// Parameters that rest (EventPlan::resting) and rates of their own (Method::rate), for any method.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/training/small_trial.h"

namespace winnow {
namespace {

using test::SmallTrial;

// Weights and biases of lenet300 in turn: the first layer on even steps, the rest on odd ones.
class Turns final : public Method {
 public:
  Touches touches() const override { return {}; }
  void schedule(EventPlan& plan, const RunLength&) const override {
    for (std::uint32_t p = 0; p < 6; ++p) plan.resting[ParamId(p)].every(2, p < 2 ? 1 : 0);
    plan.after_backward.always();
  }
  double rate(ParamId param, std::int64_t, const RunLength&) const override { return param == ParamId(2) ? 0.25 : 1; }
  Verdict on_event(const Moment& moment, TrainState& state) override {
    if (moment.when == When::AfterBackward) {
      gradients.clear();
      for (std::uint32_t p = 0; p < 6; ++p) {
        const auto grad = state.params().grad(ParamId(p));
        gradients.push_back({grad.begin(), grad.end()});
      }
    }
    return Verdict::Update;
  }
  std::vector<std::vector<float>> gradients;
};

std::vector<float> values_of(Trainer& trainer, std::uint32_t param) {
  const auto weight = trainer.params().weight(ParamId(param));
  return {weight.begin(), weight.end()};
}

TEST(Resting, ParametersInTurnKeepTheirValuesSlotsAndPrograms) {
  SmallTrial trial("lenet300", {{"name", "dense"}}, {{"weight_decay", "1e-3"}});
  Turns turns;
  Trainer trainer(test::with_method(trial, turns));
  trainer.start_phase(0);
  std::set<const void*> programs;
  std::vector<std::int64_t> macs;
  for (int step = 0; step < 6; ++step) {
    std::vector<std::vector<float>> before, slots;
    for (std::uint32_t p = 0; p < 6; ++p) {
      before.push_back(values_of(trainer, p));
      const auto slot = trainer.params().slot(ParamId(p), 0);
      slots.push_back({slot.begin(), slot.end()});
    }
    trainer.train_step();
    programs.insert(&trainer.training_program());
    macs.push_back(trainer.training_program().macs());
    for (std::uint32_t p = 0; p < 6; ++p) {
      const bool rests = (p < 2) == (step % 2 == 1);
      const auto slot = trainer.params().slot(ParamId(p), 0);
      EXPECT_EQ(values_of(trainer, p) == before[p], rests) << "step " << step << ", parameter " << p;
      EXPECT_EQ(std::ranges::equal(slot, slots[p]), rests) << "step " << step << ", parameter " << p;
      const bool any = std::ranges::any_of(turns.gradients[p], [](float g) { return g != 0; });
      EXPECT_NE(any, rests) << "step " << step << ", parameter " << p;
    }
  }
  EXPECT_EQ(programs.size(), 2u) << "a turn compiles again";
  EXPECT_LT(macs[1], macs[0]) << "the reverse pass goes on below what is trained";
}

// Plain SGD, so that a step is rate * gradient.
TEST(Resting, ARateOfItsOwnScalesTheStepOfAParameter) {
  SmallTrial trial("lenet300", {{"name", "dense"}}, {{"momentum", "0"}, {"lr", "0.1"}});
  Turns turns;
  Trainer trainer(test::with_method(trial, turns));
  trainer.start_phase(0);
  trainer.train_step();
  const std::vector<float> before[] = {values_of(trainer, 2), values_of(trainer, 4)};
  trainer.train_step();
  for (const auto& [param, rate] : {std::pair{2u, 0.025}, std::pair{4u, 0.1}}) {
    const std::vector<float> after = values_of(trainer, param);
    double worst = 0;
    for (std::size_t i = 0; i < after.size(); ++i) {
      const double expected =
          static_cast<double>(before[param / 2 - 1][i]) - rate * static_cast<double>(turns.gradients[param][i]);
      worst = std::max(worst, std::abs(static_cast<double>(after[i]) - expected));
    }
    EXPECT_LT(worst, 1e-6) << param;
  }
}

}  // namespace
}  // namespace winnow
