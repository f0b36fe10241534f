// Rules that stop trials early, as a sweep file gives them.
#include "tests/sweep/sweep_fixture.h"

namespace winnow::test {
namespace {

class StopSection : public SweepFiles {
 protected:
  const std::string dense_ = kHead + "  method: {name: dense}\n";
};

TEST_F(StopSection, ARuleIsReadWithItsDefaults) {
  const Sweep sweep = load(dense_ + "stop: {nonfinite: stop, asha: {metric: train_loss, min: 20}}\n");
  ASSERT_TRUE(sweep.stop);
  EXPECT_EQ(sweep.stop->text(), "asha: {metric: train_loss, min: 20ep, eta: 3, by: [data.name, model.name]}");
  EXPECT_EQ(sweep.stop->rungs(160), (std::vector<std::int64_t>{20, 60}));
  EXPECT_EQ(sweep.stop->rungs(60), std::vector<std::int64_t>{20}) << "none at its very end";
  const StopRule sent = stop_rule_of(to_json(*sweep.stop));
  EXPECT_EQ(sent.text(), sweep.stop->text());
}

TEST_F(StopSection, TheMedianRuleHasRungsInEqualSteps) {
  const Sweep sweep = load(dense_ + "stop: {median: {metric: train_loss, min: 20}}\n");
  ASSERT_TRUE(sweep.stop);
  EXPECT_EQ(sweep.stop->text(),
            "median: {metric: train_loss, min: 20ep, every: 20ep, trials: 5, by: [data.name, model.name]}");
  const Sweep other = load(dense_ + "stop: {median: {metric: train_loss, min: 20, every: 50ep, trials: 9}}\n");
  EXPECT_EQ(other.stop->rungs(160), (std::vector<std::int64_t>{20, 70, 120}));
  EXPECT_EQ(other.stop->rungs(120), (std::vector<std::int64_t>{20, 70}));
  EXPECT_NE(other.stop->key(), sweep.stop->key());
  EXPECT_EQ(stop_rule_of(to_json(*other.stop)).text(), other.stop->text());
}

TEST_F(StopSection, ATrialIsJudgedByItsFirstEvaluationAtARungOrLater) {
  const StopRule rule = {.kind = StopRule::Kind::Halving, .metric = "val_acc", .min = 1, .eta = 3};
  EXPECT_EQ(rule.rungs(12), (std::vector<std::int64_t>{1, 3, 9}));
  EXPECT_EQ(rule.rungs(9), (std::vector<std::int64_t>{1, 3}));
  EXPECT_EQ(judged_after(9, 5), 10);
  EXPECT_EQ(judged_after(9, 3), 9);
  EXPECT_EQ(judged_after(1, 11), 11);
}

TEST_F(StopSection, TheRuleIsNoPartOfATrialsName) {
  const Sweep with = load(dense_ + "stop: {halving: {metric: test_acc, min: 20ep, eta: 4, by: [train.lr]}}\n");
  EXPECT_EQ(with.trials.name(0), load(dense_).trials.name(0));
  ASSERT_EQ(with.notes.size(), 1u);
  EXPECT_EQ(with.notes[0],
            "'stop.halving' chooses by test_acc: the test accuracies of the trials that are left are too good by that "
            "choice");
}

TEST_F(StopSection, NoRuleIsNone) {
  EXPECT_FALSE(load(dense_ + "stop: {nonfinite: stop}\n").stop);
  EXPECT_FALSE(load(dense_).stop);
}

TEST_F(StopSection, ASectionTakesThePlaceOfThatOfTheFileItExtends) {
  write("base.yaml", dense_ + "stop: {asha: {metric: train_loss, min: 20}}\n");
  EXPECT_TRUE(load("extends: base.yaml\n").stop);
  EXPECT_FALSE(load("extends: base.yaml\nstop: {nonfinite: stop}\n").stop);
}

TEST_F(StopSection, ASmokeRunHasNoRule) {
  EXPECT_FALSE(load(dense_ + "stop: {asha: {metric: train_loss, min: 20}}\n", {.smoke = true}).stop);
}

}  // namespace
}  // namespace winnow::test
