// Brackets of hyperband against table 1 of Li et al. 2018 (JMLR 18): 81 epochs, eta 3.
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "experiments/run/rung_table.h"

namespace winnow::test {
namespace {

const StopRule kTableOne = {.kind = StopRule::Kind::Hyperband, .metric = "val_acc", .min = 1, .eta = 3};

// Of brackets with so many trials: "81 27 9 3 1" is how many come to each rung of one, and to the end. All that are let on arrive at once.
std::vector<std::string> survivors(const std::vector<std::size_t>& sizes) {
  const std::vector<std::int64_t> rungs = kTableOne.rungs(81);
  std::vector<Contestant> all;
  for (std::size_t bracket = 0; bracket < sizes.size(); ++bracket) {
    for (std::size_t i = 0; i < sizes[bracket]; ++i) {
      all.push_back({.name = fmt::format("{}-{:02}", bracket, i),
                     .group = fmt::format("bracket {}", bracket),
                     .rungs = {rungs.begin() + static_cast<std::ptrdiff_t>(bracket), rungs.end()}});
    }
  }
  RungTable table(kTableOne, all);
  std::vector<std::vector<std::size_t>> counts;
  for (std::size_t bracket = 0; bracket < sizes.size(); ++bracket) {
    counts.emplace_back(rungs.size() - bracket + 1, 0);
    counts.back()[0] = sizes[bracket];
  }
  for (std::size_t trial = 0; trial < all.size(); ++trial) {
    if (!all[trial].rungs.empty()) table.arrive({trial, 0}, static_cast<double>(trial));
  }
  while (const auto step = table.next()) {
    const auto& name = all[step->trial].name;
    ++counts[static_cast<std::size_t>(name[0] - '0')][step->rung + 1];
    table.promote(*step);
    if (const auto next = table.target(step->trial))
      table.arrive({step->trial, *next}, static_cast<double>(step->trial));
  }
  std::vector<std::string> text;
  for (const auto& bracket : counts) text.push_back(fmt::format("{}", fmt::join(bracket, " ")));
  return text;
}

TEST(Hyperband, SurvivorsAreThoseOfTheTable) {
  EXPECT_EQ(kTableOne.rungs(81), (std::vector<std::int64_t>{1, 3, 9, 27}));
  EXPECT_EQ(survivors({81, 34, 15, 8, 5}),
            (std::vector<std::string>{"81 27 9 3 1", "34 11 3 1", "15 5 1", "8 2", "5"}));
}

TEST(Hyperband, ABracketOfFewStillTrainsOneToItsEnd) {
  EXPECT_EQ(survivors({4, 2, 1}), (std::vector<std::string>{"4 1 1 1 1", "2 1 1 1", "1 1 1"}));
}

// 81, 34, 15, 8 and 5 of 143: bounds at 0.56643, 0.80420, 0.90909 and 0.96503 of all ids.
TEST(Hyperband, AnIdFallsIntoABracketByItsShare) {
  const auto bracket = [](const std::string& id) { return bracket_of(id + "0000000000000000", 4, 3); };
  EXPECT_EQ(bracket("00000000"), 0u);
  EXPECT_EQ(bracket("91000000"), 0u) << "0.56641";
  EXPECT_EQ(bracket("91020000"), 1u) << "0.56644";
  EXPECT_EQ(bracket("cd000000"), 1u) << "0.80078";
  EXPECT_EQ(bracket("ce000000"), 2u) << "0.80469";
  EXPECT_EQ(bracket("e8000000"), 2u) << "0.90625";
  EXPECT_EQ(bracket("e9000000"), 3u) << "0.91016";
  EXPECT_EQ(bracket("f7000000"), 3u) << "0.96484";
  EXPECT_EQ(bracket("f8000000"), 4u) << "0.96875";
  EXPECT_EQ(bracket("ffffffff"), 4u);
}

// Two rungs, eta 2: shares 4, 3 and 3 of 10.
TEST(Hyperband, SharesFollowTheNumberOfRungs) {
  EXPECT_EQ(bracket_of("66000000", 2, 2), 0u) << "0.39844";
  EXPECT_EQ(bracket_of("67000000", 2, 2), 1u) << "0.40234";
  EXPECT_EQ(bracket_of("b3000000", 2, 2), 1u) << "0.69922";
  EXPECT_EQ(bracket_of("b4000000", 2, 2), 2u) << "0.70313";
}

}  // namespace
}  // namespace winnow::test
