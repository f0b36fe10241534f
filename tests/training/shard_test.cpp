// Parts of a sweep for jobs that know nothing of each other: they take about as long each, are the same for all, and together are
// the whole sweep.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "core/error.h"
#include "experiments/results/layout.h"
#include "experiments/results/shard_plan.h"
#include "experiments/run/shard_assignment.h"
#include "tests/training/run_fixture.h"

namespace winnow::test {
namespace {

// Trials of nothing but names and needs, by positions.
TrialTable trials_with(std::size_t count, const std::function<std::vector<std::size_t>(std::size_t)>& needs) {
  std::vector<TrialSpec> specs(count);
  const auto id = [](std::size_t at) { return fmt::format("{:020x}", at + 1); };
  for (std::size_t at = 0; at < count; ++at) {
    specs[at].id = id(at);
    specs[at].settings.set("method.name", "dense");
    for (const std::size_t other : needs(at)) {
      specs[at].needs.push_back({"dense", "teacher", "method.teacher", id(other) + "-r0"});
    }
  }
  return TrialTable(specs);
}
std::vector<std::size_t> nothing(std::size_t) { return {}; }

// As times of trials are spread: most short, few very long.
std::vector<double> times(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::lognormal_distribution<double> time(4, 1);
  std::vector<double> costs(count);
  for (double& cost : costs) cost = time(random);
  return costs;
}

TEST(Shards, TakeAboutAsLongEach) {
  for (const int shards : {2, 8, 32}) {
    const std::size_t count = 2000;
    const TrialTable trials = trials_with(count, nothing);
    const std::vector<double> costs = times(count, 7);
    const auto shard_of = assign_shards(trials, costs, shards);
    const ShardLoad load = load_of(costs, shard_of, shards);
    EXPECT_LT(load.longest, 1.05 * load.mean) << shards;
    EXPECT_EQ(shard_of, assign_shards(trials, costs, shards));
  }
}

TEST(Shards, TrialsThatCostNothingAreSpreadToo) {
  const TrialTable trials = trials_with(100, nothing);
  std::vector<int> count(4, 0);
  for (const int shard : assign_shards(trials, std::vector<double>(100, 0.0), 4))
    ++count.at(static_cast<std::size_t>(shard));
  EXPECT_EQ(count, std::vector(4, 25));
}

// They would all go to whoever has least to do, which then looks at all results while the others train.
TEST(Shards, WhatIsDoneIsSpreadAmongWhatIsLeft) {
  const TrialTable trials = trials_with(100, nothing);
  std::vector<double> costs(100, 0.0);
  for (std::size_t at = 0; at < 100; at += 10) costs[at] = static_cast<double>(10 + at);
  std::vector<int> count(4, 0);
  const auto shard_of = assign_shards(trials, costs, 4);
  for (std::size_t at = 0; at < 100; ++at) {
    if (costs[at] == 0) ++count.at(static_cast<std::size_t>(shard_of[at]));
  }
  EXPECT_EQ(count, (std::vector{23, 23, 22, 22}));
}

// Pairs of a teacher and its pupil, and one teacher of a hundred.
TEST(Shards, WhatNeedsEachOtherStaysTogetherUnlessThatIsTooMuch) {
  const TrialTable pairs =
      trials_with(1000, [](std::size_t at) { return at % 2 == 1 ? std::vector{at - 1} : nothing(at); });
  std::vector<double> costs(1000);
  for (std::size_t at = 0; at < costs.size(); ++at) costs[at] = 10 + static_cast<double>(at * at % 17);
  const auto shard_of = assign_shards(pairs, costs, 4);
  for (std::size_t at = 1; at < 1000; at += 2) EXPECT_EQ(shard_of[at], shard_of[at - 1]) << at;
  const ShardLoad load = load_of(costs, shard_of, 4);
  EXPECT_LT(load.longest, 1.05 * load.mean);

  const TrialTable star =
      trials_with(101, [](std::size_t at) { return at > 0 ? std::vector<std::size_t>{0} : nothing(at); });
  const std::vector<double> even(101, 10.0);
  const auto of_star = assign_shards(star, even, 4);
  const ShardLoad of_even = load_of(even, of_star, 4);
  EXPECT_LT(of_even.longest, 1.05 * of_even.mean);
  std::size_t all = 0;
  for (int shard = 0; shard < 4; ++shard) {
    const auto mine = trials_of_shard(star, of_star, shard);
    EXPECT_EQ(mine[0], 1) << "each needs the teacher, and who comes first trains it";
    all += static_cast<std::size_t>(std::ranges::count(mine, char{1}));
  }
  EXPECT_EQ(all, 101u + 3u);
}

TEST(Shards, ANeedOfANeedComesAlong) {
  const TrialTable chain = trials_with(4, [](std::size_t at) { return at > 0 ? std::vector{at - 1} : nothing(at); });
  const std::vector<int> shard_of = {0, 1, 2, 3};
  EXPECT_EQ(trials_of_shard(chain, shard_of, 0), (std::vector<char>{1, 0, 0, 0}));
  EXPECT_EQ(trials_of_shard(chain, shard_of, 3), std::vector<char>(4, 1));
}

class ShardsOfASweep : public RunFixture {
 protected:
  ShardsOfASweep() : RunFixture("  - replicate: 5\n") {}
  std::filesystem::path plan() const {
    const std::vector<std::string> names = files_.list(Layout(out()).shards());
    EXPECT_EQ(names.size(), 1u);
    return Layout(out()).shards() / names.at(0);
  }
  std::size_t results() const {
    std::size_t found = 0;
    const TrialTable all = trials();
    for (std::size_t at = 0; at < all.size(); ++at) found += files_.exists(Layout(out()).trial(all.name(at))) ? 1 : 0;
    return found;
  }
};

TEST_F(ShardsOfASweep, TogetherAreTheWholeSweepAndEachIsTrainedOnce) {
  const RunSaid first = winnow({"run", "--shard", "1/2", "--workers", "1", "--threads", "1"});
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_TRUE(first.has("shard 1/2: 2 of 5 trials")) << first.err;
  EXPECT_TRUE(first.has("2 trials: 0 already done, 2 trained")) << first.err;
  const std::string before = text_of(files_.read(plan()));
  const RunSaid other = winnow({"run", "--shard", "0/2", "--workers", "1", "--threads", "1"});
  EXPECT_TRUE(other.has("3 trials: 0 already done, 3 trained")) << other.err;
  EXPECT_EQ(results(), 5u);
  EXPECT_EQ(text_of(files_.read(plan())), before) << "results change no plan";
  EXPECT_TRUE(winnow({"run", "--shard", "1/2"}).has("2 trials: 2 already done, 0 trained"));
}

TEST_F(ShardsOfASweep, ADamagedPlanIsSaidAndNotGoneBy) {
  ASSERT_EQ(winnow({"run", "--shard", "0/2", "--workers", "1", "--threads", "1"}).code, 0);
  const auto path = plan();
  const std::string whole = text_of(files_.read(path));
  const auto spoil = [&](const std::string& text) {
    files_.remove(path);
    std::ofstream(path) << text;
    const RunSaid said = winnow({"run", "--shard", "1/2"});
    EXPECT_EQ(said.code, 66) << text << said.err;
    EXPECT_TRUE(said.has(path.string() + ": is damaged; remove it")) << text << said.err;
  };
  spoil("");
  spoil(whole.substr(0, whole.size() / 2));
  std::string other = whole;
  other[whole.find("\n0\t") + 1] = '1';
  spoil(other);
  EXPECT_EQ(results(), 3u);
  files_.remove(path);
  EXPECT_EQ(winnow({"run", "--shard", "1/2", "--workers", "1", "--threads", "1"}).code, 0);
}

TEST_F(ShardsOfASweep, APlanShowsThemAsARunDealsThemAndWritesNothing) {
  const auto planned = [&] {
    return nlohmann::json::parse(winnow({"plan", "--shards", "2", "--json"}).out).at("shards");
  };
  const auto before = planned();
  EXPECT_FALSE(std::filesystem::exists(out()));
  EXPECT_EQ(before.at("dealt"), false);
  EXPECT_EQ(before.at("parts").at(0).at("trials"), 3);
  EXPECT_EQ(before.at("parts").at(1).at("trials"), 2);
  EXPECT_NEAR(before.at("seconds_longest").get<double>() / before.at("seconds_mean").get<double>(), 3 / 2.5, 1e-9);

  ASSERT_EQ(winnow({"run", "--shard", "1/2", "--workers", "1", "--threads", "1"}).code, 0);
  const auto after = planned();
  EXPECT_EQ(after.at("dealt"), true);
  EXPECT_EQ(after.at("parts").at(0).at("trials"), 3);
  EXPECT_EQ(after.at("parts").at(0).at("done"), 0);
  EXPECT_EQ(after.at("parts").at(1).at("trials"), 2);
  EXPECT_EQ(after.at("parts").at(1).at("done"), 2);
  EXPECT_GT(after.at("parts").at(0).at("seconds").get<double>(), 0);
  EXPECT_EQ(after.at("parts").at(1).at("seconds"), 0);
  const RunSaid said = winnow({"plan", "--shards", "2"});
  EXPECT_NE(said.out.find("above that (as they were dealt)"), std::string::npos) << said.out;
  EXPECT_NE(said.out.find("--shard I/2\n"), std::string::npos) << said.out;
  for (const char* text : {"0", "-1", "100001", "x"}) EXPECT_EQ(winnow({"plan", "--shards", text}).code, 64) << text;
}

TEST_F(ShardsOfASweep, OptionsThatAreNoShardAreRefused) {
  for (const char* text : {"2/2", "-1/2", "1", "1/", "/2", "1/2/3", "0/0", "a/b", "0/1000000"}) {
    const RunSaid said = winnow({"run", "--shard", text});
    EXPECT_EQ(said.code, 64) << text;
    EXPECT_TRUE(said.has("--shard must be I/N with I from 0 to N - 1")) << said.err;
  }
}

}  // namespace
}  // namespace winnow::test
