// How many come to each rung and what that takes, by hand; and as many trials as a sweep may have.
#include "experiments/run/rung_forecast.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace winnow::test {
namespace {

struct Course {
  std::string epochs, eval_every = "1";
};

TrialTable trials_with(const std::vector<Course>& courses) {
  TrialTable trials;
  for (std::size_t at = 0; at < courses.size(); ++at) {
    TrialSpec spec;
    spec.id = fmt::format("{:08x}", at);
    spec.settings.set("train.epochs", courses[at].epochs);
    spec.settings.set("train.eval_every", courses[at].eval_every);
    trials.add(spec);
  }
  return trials;
}

StopRule by_thirds(StopRule::Kind kind) { return {.kind = kind, .metric = "val_acc", .min = 1, .eta = 3, .by = {}}; }

StopRule by_median(std::int64_t trials) {
  return {.kind = StopRule::Kind::Median, .metric = "val_acc", .min = 1, .every = 1, .trials = trials, .by = {}};
}

// "27 to 1, 9 to 3, 3": the only group.
std::string counts_of(const RungForecast& found) {
  std::string text;
  EXPECT_EQ(found.groups.size(), 1u);
  for (const auto& [group, rungs] : found.groups) {
    for (const auto& rung : rungs) text += fmt::format("{} to {}, ", rung.trials, rung.epochs);
    text += std::to_string(rungs.empty() ? 0 : rungs.back().go_on);
  }
  return text;
}

TEST(RungForecast, OfEquallyLongTrialsHalvingIsForetoldJustSo) {
  const TrialTable trials = trials_with(std::vector<Course>(27, {"12ep"}));
  const RungForecast found = forecast(by_thirds(StopRule::Kind::Halving), trials);
  EXPECT_EQ(counts_of(found), "27 to 1, 9 to 3, 3 to 9, 1");
  EXPECT_EQ(found.epochs, 18 * 1 + 6 * 3 + 2 * 9 + 12);
  EXPECT_EQ(found.full, 27 * 12);
  EXPECT_EQ(found.finished, 1u);
  EXPECT_TRUE(found.exact);
  const RungForecast asha = forecast(by_thirds(StopRule::Kind::Asha), trials);
  EXPECT_EQ(counts_of(asha), counts_of(found));
  EXPECT_FALSE(asha.exact) << "some more may go on";
}

TEST(RungForecast, ATrialIsTrainedToItsFirstEvaluationAtARung) {
  const StopRule rule = by_thirds(StopRule::Kind::Halving);
  const RungForecast fifth = forecast(rule, trials_with(std::vector<Course>(27, {"12ep", "5"})));
  EXPECT_EQ(counts_of(fifth), "27 to 1, 9 to 3, 3 to 9, 1");
  EXPECT_EQ(fifth.epochs, 24 * 5 + 2 * 10 + 12);
  const RungForecast sixth = forecast(rule, trials_with(std::vector<Course>(27, {"12ep", "6"})));
  EXPECT_EQ(counts_of(sixth), "27 to 1, 9 to 3, 3 to 9, 1");
  EXPECT_EQ(sixth.epochs, 24 * 6 + 3 * 12) << "after 9 epochs or more they are judged at the end of this training";
}

// Where 8 come to the first rung, 4 to 8 go on, of which all or no more than half come past the next one.
TEST(RungForecast, WhereTooFewComeToBeJudgedSomeMoreMayBeStopped) {
  const TrialTable trials = trials_with(std::vector<Course>(8, {"3ep"}));
  EXPECT_EQ(counts_of(forecast(by_median(5), trials)), "8 to 1, 4 to 2, 3") << "five of which three go on, say";
  EXPECT_EQ(counts_of(forecast(by_median(9), trials)), "8 to 1, 8 to 2, 8") << "there are never enough";
  EXPECT_EQ(forecast(by_median(9), trials).epochs, 24);
  EXPECT_FALSE(forecast(by_median(5), trials).exact);
}

TEST(RungForecast, OfUnequalTrialsTheShortestGoOn) {
  std::vector<Course> courses(3, {"2ep"});
  courses.resize(6, {"9ep"});
  courses.push_back({"1ep"});
  const RungForecast found = forecast(by_thirds(StopRule::Kind::Halving), trials_with(courses));
  // Of the two that go on from 1 epoch none need be one that comes to 3.
  EXPECT_EQ(counts_of(found), "6 to 1, 0 to 3, 0");
  EXPECT_EQ(found.epochs, 1 + 6 + 2);
  EXPECT_EQ(found.full, 6 + 27 + 1);
  EXPECT_EQ(found.finished, 1u);
  EXPECT_FALSE(found.exact);
}

// In no more time than it takes to sort them; by arrivals one after the other it is more than this test may take.
TEST(RungForecast, OfAHundredThousandTrials) {
  const TrialTable trials = trials_with(std::vector<Course>(100'000, {"12ep"}));
  EXPECT_EQ(counts_of(forecast(by_median(5), trials)),
            "100000 to 1, 50000 to 2, 25000 to 3, 12500 to 4, 6250 to 5, 3125 to 6, 1563 to 7, 782 to 8, 391 to 9, "
            "196 to 10, 98 to 11, 49");
}

}  // namespace
}  // namespace winnow::test
