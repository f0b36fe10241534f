// The median stopping rule: what a curve says, who stays, and what a table of rungs makes of it; all numbers by hand.
#include "experiments/run/median_stop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "experiments/run/rung_table.h"

namespace winnow::test {
namespace {

using Stays = std::vector<char>;
const double kNotKnown = std::nan("");
constexpr std::size_t kAny = 1;

Table curve(std::vector<double> epochs, std::vector<double> values) {
  return {
      .columns = {{.name = "epoch", .values = std::move(epochs)}, {.name = "val_acc", .values = std::move(values)}}};
}

TEST(MedianStop, OfACurveTheBestAndTheMeanUpToTheRungCount) {
  const Table epochs = curve({1, 2, 3, 4}, {0.2, 0.6, 0.4, 0.9});
  const Standing third = standing_at(epochs, "val_acc", false, 3);
  EXPECT_DOUBLE_EQ(third.best, 0.6);
  EXPECT_DOUBLE_EQ(third.mean, 0.4);
  EXPECT_DOUBLE_EQ(standing_at(epochs, "val_acc", true, 3).best, 0.2) << "where least is best";
  EXPECT_TRUE(std::isnan(standing_at(epochs, "val_acc", false, 5).best)) << "it has not come there";
  EXPECT_TRUE(std::isnan(standing_at(epochs, "test_acc", false, 3).best));
  const Standing late = standing_at(curve({2, 4}, {0.2, 0.6}), "val_acc", false, 3);
  EXPECT_DOUBLE_EQ(late.mean, 0.4) << "the first evaluation behind the rung is that of the rung";
  const Standing spoilt = standing_at(curve({1, 2}, {kNotKnown, 0.5}), "val_acc", false, 2);
  EXPECT_DOUBLE_EQ(spoilt.best, 0.5);
  EXPECT_TRUE(std::isnan(spoilt.mean));
}

// 0.1 + 0.1 + 0.1 is more than 0.3.
TEST(MedianStop, ACurveThatStandsStillIsNotWorseThanItself) {
  ASSERT_GT((0.1 + 0.1 + 0.1) / 3, 0.1);
  const Table epochs = curve({1, 2, 3}, {0.1, 0.1, 0.1});
  for (const bool least_is_best : {false, true}) {
    const std::vector<Standing> all(3, standing_at(epochs, "val_acc", least_is_best, 3));
    EXPECT_EQ(stopped_by_median(all, least_is_best, kAny), (Stays{0, 0, 0}));
  }
}

TEST(MedianStop, WhoseBestIsWorseThanTheMedianOfMeansStays) {
  // Means 0.1, 0.3, 0.5, 0.7, 0.9: the median is 0.5.
  const std::vector<Standing> all = {{0.2, 0.1}, {0.6, 0.3}, {0.55, 0.5}, {0.7, 0.7}, {0.9, 0.9}};
  EXPECT_EQ(stopped_by_median(all, false, kAny), (Stays{1, 0, 0, 0, 0})) << "the second was good once";
  // As losses: all but the first were never as low as 0.5.
  EXPECT_EQ(stopped_by_median(all, true, kAny), (Stays{0, 1, 1, 1, 1}));
}

TEST(MedianStop, TheMedianIsNothingWhereItStopsNobody) {
  const std::vector<Standing> all = {{0.2, 0.1}, {0.6, 0.3}, {0.55, 0.5}};
  EXPECT_EQ(median_of_means(all, false, 3), 0.3);
  EXPECT_EQ(median_of_means(all, true, 3), 0.3) << "a loss is said as it is";
  EXPECT_EQ(median_of_means(all, false, 4), std::nullopt);
  EXPECT_EQ(median_of_means(std::vector<Standing>(3), false, 1), std::nullopt) << "all are the worst";
  EXPECT_EQ(median_of_means({}, false, 0), std::nullopt);
}

TEST(MedianStop, OfAnEvenNumberTheMedianIsTheMeanOfTheMiddleTwoAndEqualOnesGoOn) {
  // 0.125, 0.25, 0.5, 0.875: 0.375.
  const std::vector<Standing> all = {{0.375, 0.125}, {0.37, 0.25}, {0.5, 0.5}, {0.875, 0.875}};
  EXPECT_EQ(stopped_by_median(all, false, kAny), (Stays{0, 1, 0, 0}));
  EXPECT_EQ(stopped_by_median(std::vector<Standing>(4, Standing{0.5, 0.5}), false, kAny), Stays(4, 0));
}

TEST(MedianStop, NobodyStaysWhereTooFewHaveCome) {
  const std::vector<Standing> all = {{0.1, 0.1}, {0.5, 0.5}, {0.9, 0.9}};
  EXPECT_EQ(stopped_by_median(all, false, 4), (Stays{0, 0, 0}));
  EXPECT_EQ(stopped_by_median(all, false, 3), (Stays{1, 0, 0}));
  EXPECT_TRUE(stopped_by_median({}, false, 2).empty());
}

TEST(MedianStop, WhatIsNotKnownIsTheWorstAndStaysItself) {
  const std::vector<Standing> all = {{}, {0.1, 0.1}, {0.5, kNotKnown}, {0.4, 0.4}, {0.3, 0.3}};
  // -inf, -inf, 0.1, 0.3, 0.4
  EXPECT_EQ(stopped_by_median(all, false, kAny), (Stays{1, 0, 0, 0, 0}));
  // inf, inf, 0.4, 0.3, 0.1
  EXPECT_EQ(stopped_by_median(all, true, kAny), (Stays{1, 0, 1, 0, 0}));
}

RungTable table_of(std::size_t trials, std::int64_t least) {
  std::vector<Contestant> all;
  for (std::size_t i = 0; i < trials; ++i) {
    all.push_back({.name = std::string(1, static_cast<char>('a' + i)), .group = "", .rungs = {1, 2}});
  }
  return {{.kind = StopRule::Kind::Median, .metric = "val_acc", .min = 1, .every = 1, .trials = least}, all};
}

std::string going_on_by(RungTable& table) {
  std::string text;
  while (const auto step = table.next()) {
    table.promote(*step);
    text += table.contestant(step->trial).name + std::to_string(step->rung) + " ";
  }
  return text;
}

TEST(MedianRungs, EachIsDecidedAboutByWhatHasComeAndMayGoOnLater) {
  RungTable table = table_of(5, 3);
  table.arrive({0, 0}, 0.5, 0.5);
  EXPECT_EQ(going_on_by(table), "a0 ") << "too few to judge it";
  table.arrive({1, 0}, 0.9, 0.9);
  EXPECT_EQ(going_on_by(table), "b0 ");
  table.arrive({2, 0}, 0.4, 0.4);
  EXPECT_EQ(going_on_by(table), "") << "0.4 is less than 0.5";
  EXPECT_FALSE(table.is_due(2));
  EXPECT_TRUE(table.waits());
  table.arrive({3, 0}, 0.1, 0.1);
  EXPECT_EQ(going_on_by(table), "") << "0.4 is less than 0.45";
  table.fail({4, 0});
  EXPECT_EQ(going_on_by(table), "c0 ") << "-inf, 0.1, 0.4, 0.5, 0.9: the median has come down to it";
  EXPECT_TRUE(table.is_due(2));
  EXPECT_EQ(table.target(3), 0u);
}

TEST(MedianRungs, EachRungHasAMedianOfItsOwn) {
  RungTable table = table_of(3, 3);
  for (const std::size_t trial : {0, 1, 2}) table.arrive({trial, 0}, 0.5, 0.5);
  EXPECT_EQ(going_on_by(table), "a0 b0 c0 ");
  table.arrive({0, 1}, 0.8, 0.6);
  table.arrive({1, 1}, 0.9, 0.9);
  table.arrive({2, 1}, 0.5, 0.5);
  EXPECT_EQ(going_on_by(table), "b1 a1 ") << "0.5 is less than 0.6; none of the first rung is asked again";
  EXPECT_FALSE(table.waits());
}

TEST(MedianRungs, WhenAllHaveComeTheOutcomeIsThatOfTheMedianForAllWhoWereNotAmongTheFirst) {
  const double values[] = {0.3, 0.1, 0.7, 0.5, 0.2};
  std::vector<std::size_t> order = {0, 1, 2, 3, 4};
  do {
    RungTable table = table_of(5, 5);
    for (const std::size_t trial : order) table.arrive({trial, 0}, values[trial], values[trial]);
    EXPECT_EQ(going_on_by(table), "c0 d0 a0 ") << "the median is 0.3";
  } while (std::ranges::next_permutation(order).found);
}

}  // namespace
}  // namespace winnow::test
