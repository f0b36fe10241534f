// A method's further loss terms: what they add to the update, what is reported, and that evaluation is without them.
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "tests/training/extra_loss.h"
#include "tests/training/small_trial.h"

namespace winnow {
namespace {

using test::all_weights;
using test::SmallTrial;
using test::with_method;
using test::WithLosses;

const test::Pairs kPlainSgd = {{"lr", "0.1"}, {"momentum", "0"}, {"weight_decay", "0"}};

// One step of plain SGD from the same weights, with and without `losses`.
struct Steps {
  StepReport plain, extra;
  std::vector<float> plain_weights, weights, start;
};
Steps step_with(const std::vector<WithLosses::Term>& terms) {
  WithLosses method(terms);
  SmallTrial trial("lenet300", {{"name", "dense"}}, kPlainSgd);
  Trainer a = trial.make(), b(with_method(trial, method));
  a.start_phase(0);
  b.start_phase(0);
  Steps steps;
  steps.start = all_weights(a);
  steps.plain = a.train_step();
  steps.extra = b.train_step();
  steps.plain_weights = all_weights(a);
  steps.weights = all_weights(b);
  return steps;
}

TEST(ExtraLoss, AddsItsGradientAndIsReportedApart) {
  const Steps steps = step_with({{WithLosses::Of::Weights, 0.25, true}});
  EXPECT_EQ(steps.extra.loss, steps.plain.loss) << "the loss of the labels is the same";
  double squares = 0;
  for (const float w : steps.start) squares += static_cast<double>(w) * static_cast<double>(w);
  ASSERT_EQ(steps.extra.losses.size(), 1u);
  EXPECT_NEAR(steps.extra.losses[0], 0.25 * squares, 1e-4 * squares);
  EXPECT_TRUE(steps.plain.losses.empty());
  for (std::size_t i = 0; i < steps.start.size(); i += 97) {
    EXPECT_NEAR(steps.weights[i] - steps.plain_weights[i], -0.1 * 0.25 * 2 * steps.start[i], 2e-6) << i;
  }
}

TEST(ExtraLoss, OneThatIsOnlyReportedChangesNoBit) {
  const Steps steps = step_with({{WithLosses::Of::Weights, 0.25, false}});
  EXPECT_EQ(steps.weights, steps.plain_weights);
  EXPECT_GT(steps.extra.losses.at(0), 0);
}

// The derivative of the whole objective along the update is minus lr times its squared norm.
TEST(ExtraLoss, TheGradientIsThatOfTheSumOfAllTerms) {
  WithLosses method({{WithLosses::Of::Weights, 0.01, true}, {WithLosses::Of::Logits, 0.3, true}});
  const auto objective = [&](double along, std::vector<float>* update) {
    SmallTrial trial("lenet300", {{"name", "dense"}}, kPlainSgd);
    Trainer trainer(with_method(trial, method));
    trainer.start_phase(0);
    const auto move = [&](const std::vector<float>& by, double factor) {
      std::size_t at = 0;
      for (std::size_t p = 0; p < trainer.params().size(); ++p) {
        for (float& w : trainer.params().change(ParamId(p))) w += static_cast<float>(factor) * by[at++];
      }
    };
    if (along != 0) move(*update, along);
    const std::vector<float> before = all_weights(trainer);
    const StepReport report = trainer.train_step();
    if (along == 0) {
      *update = all_weights(trainer);
      for (std::size_t i = 0; i < before.size(); ++i) (*update)[i] -= before[i];
    }
    return report.loss + report.losses.at(0) + report.losses.at(1);
  };
  std::vector<float> update;
  objective(0, &update);
  double squares = 0;
  for (const float u : update) squares += static_cast<double>(u) * static_cast<double>(u);
  const double h = 0.05, slope = (objective(h, &update) - objective(-h, &update)) / (2 * h);
  EXPECT_NEAR(slope, -squares / 0.1, 0.01 * squares / 0.1);
}

TEST(ExtraLoss, EvaluationIsOfTheLabelsAlone) {
  WithLosses method({{WithLosses::Of::Logits, 5, true}});
  SmallTrial trial;
  Trainer plain = trial.make(), extra(with_method(trial, method));
  plain.start_phase(0);
  extra.start_phase(0);
  EXPECT_EQ(plain.evaluate(Split::Test).loss, extra.evaluate(Split::Test).loss);
}

TEST(ExtraLoss, OneThatOverflowsEndsTheTrial) {
  WithLosses method({{WithLosses::Of::Weights, 1e300, true}});
  SmallTrial trial;
  Trainer trainer(with_method(trial, method));
  trainer.start_phase(0);
  EXPECT_TRUE(trainer.train_step().diverged);
}

TEST(ExtraLoss, TwoOfOneNameAndWhatIsNoNumberAreErrors) {
  Model model = SmallTrial().build()(4, DType::F32);
  const Settings train;
  GraphEditor editor(model, train);
  const ValueId sum = editor.graph().emit1("reduce_sum", {model.logits}, {}, "sum");
  EXPECT_THROW(editor.add_loss({.name = "logits", .value = model.logits}), Error);
  editor.add_loss({.name = "sum", .value = sum});
  EXPECT_THROW(editor.add_loss({.name = "sum", .value = sum}), Error);
}

}  // namespace
}  // namespace winnow
