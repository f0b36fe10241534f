// Who goes on past a rung, decided by hand.
#include "experiments/run/rung_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace winnow::test {
namespace {

bool stays(RungTable& table, RungTable::Step at) {
  table.next();
  return table.stays(at);
}

using Step = RungTable::Step;
const double kNone = std::nan("");

StopRule rule_of(StopRule::Kind kind, std::int64_t eta = 2) {
  return {.kind = kind, .metric = "val_acc", .min = 1, .eta = eta};
}

// "a", "b", ... in one group, with rungs at 1 and 2 (eta 2).
std::vector<Contestant> letters(std::size_t count, const std::string& group = "") {
  std::vector<Contestant> all;
  for (std::size_t i = 0; i < count; ++i) {
    all.push_back({.name = group + std::string(1, static_cast<char>('a' + i)), .group = group, .rungs = {1, 2}});
  }
  return all;
}

// "a0 c0": what goes on now, and past which rung; each is let past.
std::string going_on(RungTable& table) {
  std::string text;
  while (const auto step = table.next()) {
    table.promote(*step);
    text += table.contestant(step->trial).name + std::to_string(step->rung) + " ";
  }
  return text;
}

TEST(Halving, DecidesWhenAllHaveComeAndTheBestGoOn) {
  RungTable table(rule_of(StopRule::Kind::Halving), letters(4));
  table.arrive({0, 0}, 0.1);
  table.arrive({1, 0}, 0.4);
  table.arrive({2, 0}, 0.2);
  EXPECT_EQ(going_on(table), "");
  EXPECT_TRUE(table.waits());
  table.arrive({3, 0}, 0.3);
  EXPECT_EQ(going_on(table), "b0 d0 ");
  table.arrive({1, 1}, 0.4);
  EXPECT_EQ(going_on(table), "") << "d is still on its way";
  table.arrive({3, 1}, 0.5);
  EXPECT_EQ(going_on(table), "d1 ");
  EXPECT_FALSE(table.target(3)) << "to its end";
  EXPECT_EQ(table.target(1), 1u);
  EXPECT_FALSE(table.is_due(0));
  EXPECT_FALSE(table.is_due(1));
  EXPECT_TRUE(table.is_due(3));
  EXPECT_FALSE(table.waits());
}

TEST(Halving, WhoStaysIsSaidWhenTheRungIsDecidedAndTheOthersAreLetPast) {
  RungTable table(rule_of(StopRule::Kind::Halving), letters(4));
  table.arrive({0, 0}, 0.1);
  table.arrive({1, 0}, 0.4);
  table.arrive({2, 0}, kNone);
  EXPECT_FALSE(stays(table, {0, 0})) << "one is still on its way";
  table.fail({3, 0});
  EXPECT_FALSE(stays(table, {0, 0})) << "it goes on";
  EXPECT_FALSE(stays(table, {2, 0})) << "nobody was let past yet";
  const RungDecision best = table.decision({1, 0}, true), second = table.decision({0, 0}, true);
  EXPECT_TRUE(best.promoted);
  EXPECT_EQ(best.trial, 1u);
  EXPECT_EQ(best.rung, 1);
  EXPECT_EQ(best.value, 0.4);
  EXPECT_EQ(best.place, 1u);
  EXPECT_EQ(best.of, 4u);
  EXPECT_FALSE(best.median);
  EXPECT_EQ(second.place, 2u);
  EXPECT_EQ(going_on(table), "b0 a0 ");
  EXPECT_TRUE(stays(table, {2, 0}));
  EXPECT_FALSE(stays(table, {3, 0})) << "it never came";
  EXPECT_FALSE(stays(table, {0, 0}));
  const RungDecision last = table.decision({2, 0}, false);
  EXPECT_FALSE(last.promoted || last.value || last.place);
  EXPECT_EQ(last.of, 4u);
}

// What was let past a rung is on disk; that it came there may be lost with the power.
TEST(Halving, AnArrivalThatIsNotKnownHoldsNobodyUpAndTakesItsPlace) {
  RungTable table(rule_of(StopRule::Kind::Halving), letters(4));
  table.promote({0, 0});
  table.arrive({1, 0}, 0.1);
  table.arrive({2, 0}, 0.2);
  EXPECT_EQ(going_on(table), "");
  table.arrive({3, 0}, 0.3);
  EXPECT_EQ(going_on(table), "d0 ") << "two of four";
  table.arrive({0, 1}, 0.5);
  table.arrive({3, 1}, 0.4);
  EXPECT_EQ(going_on(table), "a1 ");
}

TEST(Halving, OutcomeIsTheSameInAnyOrder) {
  std::set<std::string> outcomes;
  std::vector<std::size_t> order = {0, 1, 2, 3, 4};
  const double values[] = {0.3, 0.1, 0.3, 0.5, 0.2};
  do {
    RungTable table(rule_of(StopRule::Kind::Halving), letters(5));
    std::string text;
    for (const std::size_t trial : order) {
      table.arrive({trial, 0}, values[trial]);
      text += going_on(table);
    }
    outcomes.insert(text);
  } while (std::ranges::next_permutation(order).found);
  EXPECT_EQ(outcomes, std::set<std::string>{"d0 a0 "}) << "a and c are equal: by name";
}

TEST(Halving, LossesAreBestWhenLeast) {
  StopRule rule = rule_of(StopRule::Kind::Halving);
  rule.metric = "test_loss";
  RungTable table(rule, letters(2));
  table.arrive({0, 0}, 2.0);
  table.arrive({1, 0}, 1.0);
  EXPECT_EQ(going_on(table), "b0 ");
}

TEST(Halving, FailuresAndNaNCountAsTheWorstAndNeverGoOn) {
  RungTable table(rule_of(StopRule::Kind::Halving), letters(4));
  table.fail({0, 0});
  table.arrive({1, 0}, kNone);
  table.arrive({2, 0}, 0.1);
  EXPECT_EQ(going_on(table), "");
  table.fail({3, 0});
  EXPECT_EQ(going_on(table), "c0 ") << "two places, one that can take one";
  EXPECT_FALSE(table.is_due(0));
  RungTable none(rule_of(StopRule::Kind::Halving), letters(2));
  none.fail({0, 0});
  none.arrive({1, 0}, kNone);
  EXPECT_EQ(going_on(none), "");
}

TEST(Halving, WhoFailsOnTheWayToALaterRungKeepsNobodyWaiting) {
  RungTable table(rule_of(StopRule::Kind::Halving), letters(4));
  for (const std::size_t trial : {0, 1, 2, 3}) table.arrive({trial, 0}, static_cast<double>(trial));
  EXPECT_EQ(going_on(table), "d0 c0 ");
  table.arrive({2, 1}, 0.1);
  EXPECT_EQ(going_on(table), "");
  table.fail({3, 1});
  EXPECT_EQ(going_on(table), "c1 ");
}

TEST(Halving, OneThatArrivesAfterAFailureTakesOnlyAPlaceThatIsLeft) {
  RungTable table(rule_of(StopRule::Kind::Halving), letters(4));
  table.fail({0, 0});
  for (const std::size_t trial : {1, 2, 3}) table.arrive({trial, 0}, static_cast<double>(trial));
  EXPECT_EQ(going_on(table), "d0 c0 ");
  table.arrive({0, 0}, 9);
  EXPECT_EQ(going_on(table), "");
  EXPECT_FALSE(table.has_failed(0));
  // The words of several processes come in any order.
  table.fail({0, 0});
  EXPECT_FALSE(table.has_failed(0)) << "it arrived there";
}

TEST(Halving, TheLastOfAGroupGoesOnHoweverFewThereAre) {
  RungTable table(rule_of(StopRule::Kind::Halving, 4), letters(3));
  for (const std::size_t trial : {0, 1, 2}) table.arrive({trial, 0}, 1);
  EXPECT_EQ(going_on(table), "a0 ");
  table.arrive({0, 1}, 1);
  EXPECT_EQ(going_on(table), "a1 ");
}

TEST(Halving, OnlyTrialsOfOneGroupCompete) {
  std::vector<Contestant> all = letters(2, "x");
  for (Contestant& one : letters(2, "y")) all.push_back(one);
  RungTable table(rule_of(StopRule::Kind::Halving), all);
  table.arrive({0, 0}, 0.9);
  table.arrive({1, 0}, 0.8);
  EXPECT_EQ(going_on(table), "xa0 ");
  table.arrive({2, 0}, 0.1);
  table.arrive({3, 0}, 0.2);
  EXPECT_EQ(going_on(table), "yb0 ");
}

TEST(Halving, AWiderSweepGivesOutThePlacesThatItAdds) {
  RungTable table(rule_of(StopRule::Kind::Halving), letters(6));
  table.promote({0, 0});  // by the run of the sweep with two trials
  table.arrive({0, 0}, 0.5);
  table.arrive({1, 0}, 0.4);
  for (const std::size_t trial : {2, 3, 4, 5}) table.arrive({trial, 0}, 0.6 + 0.1 * static_cast<double>(trial));
  EXPECT_EQ(going_on(table), "f0 e0 ") << "three places, one is taken";
}

TEST(Halving, ATrialThatIsNoLongerThanARungIsNotInIt) {
  std::vector<Contestant> all = letters(3);
  all[2].rungs = {1};
  RungTable table(rule_of(StopRule::Kind::Halving), all);
  for (const std::size_t trial : {0, 1}) table.arrive({trial, 0}, 0.1);
  table.arrive({2, 0}, 0.5);
  EXPECT_EQ(going_on(table), "c0 ");
  EXPECT_FALSE(table.target(2));
  EXPECT_FALSE(table.waits());
}

TEST(Asha, DecidesAtOnceByWhatHasCome) {
  RungTable table(rule_of(StopRule::Kind::Asha), letters(6));
  table.arrive({0, 0}, 0.1);
  EXPECT_EQ(going_on(table), "");
  table.arrive({1, 0}, 0.05);
  EXPECT_EQ(going_on(table), "a0 ") << "the better half of two";
  table.arrive({2, 0}, 0.9);
  EXPECT_EQ(going_on(table), "c0 ") << "the best of three; a, which has gone on before, stays ahead";
  table.arrive({3, 0}, 0.8);
  EXPECT_EQ(going_on(table), "d0 ");
  EXPECT_FALSE(table.waits());
}

TEST(Asha, WhoStaysMayGoOnLater) {
  RungTable table(rule_of(StopRule::Kind::Asha), letters(4));
  table.arrive({0, 0}, 0.1);
  EXPECT_TRUE(stays(table, {0, 0})) << "by what is known now";
  table.arrive({1, 0}, 0.05);
  EXPECT_FALSE(stays(table, {0, 0}));
  EXPECT_EQ(going_on(table), "a0 ");
  EXPECT_TRUE(stays(table, {1, 0}));
}

TEST(Asha, HigherRungsComeFirst) {
  RungTable table(rule_of(StopRule::Kind::Asha), letters(8));
  for (const std::size_t trial : {0, 1, 2, 3}) table.arrive({trial, 0}, static_cast<double>(trial));
  EXPECT_EQ(going_on(table), "d0 c0 ");
  table.arrive({3, 1}, 1);
  table.arrive({2, 1}, 2);
  table.arrive({4, 0}, 9);
  table.arrive({5, 0}, 8);
  EXPECT_EQ(going_on(table), "c1 e0 f0 ");
}

TEST(Asha, WhenAllHaveComeOneOfThemGoesOn) {
  RungTable table(rule_of(StopRule::Kind::Asha, 4), letters(2));
  table.arrive({0, 0}, 0.1);
  EXPECT_EQ(going_on(table), "");
  table.fail({1, 0});
  EXPECT_EQ(going_on(table), "a0 ");
  table.arrive({0, 1}, 0.1);
  EXPECT_EQ(going_on(table), "a1 ");
}

TEST(RungTable, AnArrivalSaysThatItWasLetPastTheRungsBefore) {
  RungTable table(rule_of(StopRule::Kind::Halving), letters(4));
  table.arrive({0, 1}, 0.3);  // of a process whose other words have not been read yet
  EXPECT_EQ(table.target(0), 1u);
  EXPECT_FALSE(table.is_due(0));
  table.finish(0);
  EXPECT_FALSE(table.is_due(0));
}

}  // namespace
}  // namespace winnow::test
