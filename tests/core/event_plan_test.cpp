#include "core/event_plan.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/model.h"

namespace winnow {
namespace {

std::vector<std::int64_t> listed(const StepSet& set, std::int64_t last) {
  std::vector<std::int64_t> steps;
  for (std::int64_t step = 0; step <= last; ++step) {
    if (set.contains(step)) steps.push_back(step);
  }
  return steps;
}

TEST(StepSet, IsTheUnionOfItsRules) {
  StepSet set;
  EXPECT_TRUE(set.empty());
  set.every(5, 2, 13);
  set.at(3);
  set.at(12);
  EXPECT_EQ(listed(set, 20), (std::vector<std::int64_t>{2, 3, 7, 12}));
  set.every(4, 9, 8);  // holds no step
  EXPECT_EQ(listed(set, 20), (std::vector<std::int64_t>{2, 3, 7, 12}));
  EXPECT_THROW(set.every(0), Error);
}

TEST(StepSet, RulesThatNameTheSameStepsAreEqual) {
  StepSet a, b;
  a.every(5, 0, 14);
  a.at(7);
  a.at(7);
  b.every(9, 7, 8);
  b.every(5, 0, 10);
  EXPECT_EQ(a, b);
  b.always();
  EXPECT_NE(a, b);
}

TEST(StepSet, SaysItsStepsInWords) {
  StepSet set;
  EXPECT_EQ(set.text(), "");
  set.every(100, 0, 799);
  set.at(1000);
  EXPECT_EQ(set.text(), "every 100 steps from 0 to 700, step 1000");
  StepSet all;
  all.always();
  EXPECT_EQ(all.text(), "every step");
}

TEST(EventPlan, OfSeveralMethodsIsTheUnion) {
  EventPlan a, b;
  a.after_step.at(4);
  b.after_step.at(6);
  b.dense_gradients.at(1);
  a.add(b);
  EXPECT_EQ(listed(a.after_step, 9), (std::vector<std::int64_t>{4, 6}));
  EXPECT_EQ(a.dense_gradients, b.dense_gradients);
  EXPECT_TRUE(a.after_backward.empty());
}

TEST(StepSet, ChangesWhereItSaysOtherwiseForTheFirstTime) {
  StepSet set;
  EXPECT_EQ(set.next_change(0), StepRule::kEnd);
  set.add({3, 5, 1});
  set.add({5, 9, 1});
  set.add({20});
  for (const auto& [step, next] : {std::pair<std::int64_t, std::int64_t>{0, 3}, {3, 10}, {9, 10}, {10, 20}}) {
    EXPECT_EQ(set.next_change(step), next) << step;
  }
  EXPECT_EQ(set.next_change(20), StepRule::kEnd);
  StepSet thirds;
  thirds.every(3, 1, 7);
  std::vector<std::int64_t> changes;
  for (std::int64_t step = 0; step != StepRule::kEnd; step = thirds.next_change(step)) changes.push_back(step);
  EXPECT_EQ(changes, (std::vector<std::int64_t>{0, 1, 2, 4, 5, 7, 8}));
}

TEST(EventPlan, ParametersRestInSetsThatFollowEachOther) {
  EventPlan plan, other;
  plan.resting[ParamId(2)].add({4});
  plan.resting[ParamId(0)].add({2, 7, 1});
  other.resting[ParamId(0)].add({8});
  plan.add(other);
  EXPECT_EQ(plan.resting_at(1), std::vector<ParamId>{});
  EXPECT_EQ(plan.resting_at(2), std::vector<ParamId>{ParamId(0)});
  EXPECT_EQ(plan.resting_at(100), (std::vector<ParamId>{ParamId(0), ParamId(2)}));
  EXPECT_EQ(plan.next_resting_change(0), 2);
  EXPECT_EQ(plan.next_resting_change(2), 4);
  EXPECT_EQ(plan.next_resting_change(4), StepRule::kEnd);
}

}  // namespace
}  // namespace winnow
