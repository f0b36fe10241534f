// Which trial of a shared list a group takes up next, as results appear.
#include "experiments/run/trial_draw.h"

#include <gtest/gtest.h>

#include <thread>

#include "experiments/results/layout.h"
#include "experiments/results/progress_file.h"
#include "experiments/run/need_order.h"
#include "tests/sweep/sweep_fixture.h"

namespace winnow::test {
namespace {

using Taken = std::optional<std::size_t>;

// Trials by letter, and what each needs.
class Draw : public SweepFiles {
 protected:
  void plan(const std::vector<std::pair<std::string, std::vector<std::string>>>& trials) {
    for (const auto& [id, needs] : trials) {
      TrialSpec spec;
      spec.id = id;
      for (const auto& need : needs) spec.needs.push_back({"m", "teacher", "method.teacher", need + "-r0"});
      trials_.add(spec);
      list_.push_back(list_.size());
    }
    order_ = need_order(trials_, std::vector<double>(trials_.size(), 1.0));
    tickets_ = make_self()->tickets(TrialDraw::counters(trials_, list_));
    postponed_.assign(trials_.size(), Postponed::Untouched);
  }
  TrialDraw group(int settled = 0) {
    return TrialDraw({.trials = trials_,
                      .files = files_,
                      .out = folder_,
                      .postponed = postponed_,
                      .depths = order_.depth,
                      .settled = settled},
                     list_, *tickets_);
  }
  void finish(const std::string& id) const {
    const auto path = Layout(folder_).trial(id + "-r0");
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << "a result";
  }

  // Counts questions about single files.
  class CountingFiles final : public PosixFiles {
   public:
    std::size_t asked = 0;
    std::optional<Stamp> stamp(const Path& path) override {
      ++asked;
      return PosixFiles::stamp(path);
    }
  };

  CountingFiles files_;
  TrialTable trials_;
  std::vector<std::size_t> list_;
  NeedOrder order_;
  std::unique_ptr<Tickets> tickets_;
  std::vector<Postponed> postponed_;
};

TEST_F(Draw, EveryTrialGoesToOneGroupAfterWhatItNeeds) {
  plan({{"aa", {}}, {"bb", {}}, {"cc", {"aa"}}, {"dd", {"aa", "bb"}}, {"ee", {"dd"}}});
  TrialDraw one = group(), two = group();
  EXPECT_EQ(one.next(), Taken(0));
  EXPECT_EQ(two.next(), Taken(1));
  EXPECT_EQ(two.next(), std::nullopt);
  EXPECT_FALSE(two.over()) << "what it waits for has just been drawn";
  finish("bb");
  EXPECT_EQ(two.next(), std::nullopt) << "dd needs aa as well";
  finish("aa");
  EXPECT_EQ(one.next(), Taken(2));
  EXPECT_EQ(two.next(), Taken(3));
  EXPECT_EQ(one.next(), std::nullopt);
  finish("dd");
  EXPECT_EQ(one.next(), Taken(4));
  EXPECT_EQ(two.next(), std::nullopt);
  EXPECT_TRUE(two.over());
  EXPECT_EQ(postponed_, (std::vector{Postponed::Untouched, Postponed::Untouched, Postponed::Taken, Postponed::Taken,
                                     Postponed::Taken}));
}

TEST_F(Draw, HopesWhileSomebodyTrainsWhatItWaitsForAndNoLonger) {
  plan({{"aa", {}}, {"bb", {"aa"}}});
  TrialDraw one = group(), two = group();
  EXPECT_EQ(one.next(), Taken(0));
  const auto waits = [&](std::chrono::milliseconds most) {
    const auto start = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - start < most) {
      EXPECT_EQ(two.next(), std::nullopt);
      if (two.over()) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
  };
  {
    const ProgressFile in_work(files_, folder_, trials_[0], 1);
    EXPECT_TRUE(waits(std::chrono::milliseconds(2500)));
  }
  EXPECT_FALSE(waits(std::chrono::seconds(30))) << "it was given up without a result";
  EXPECT_EQ(postponed_[1], Postponed::Waiting);
  // In the next round nothing is waited for: whoever takes it up finds out why there is no result.
  tickets_ = make_self()->tickets(2);
  list_ = {1};
  TrialDraw later = group(1);
  EXPECT_EQ(later.next(), Taken(1));
  EXPECT_EQ(later.next(), std::nullopt);
  EXPECT_TRUE(later.over());
}

// Else its script would take the time of waiting for a job that gets nowhere.
TEST_F(Draw, WhoWaitsForAnotherRunThatGetsOnTellsItsBatchScriptSo) {
  plan({{"aa", {}}, {"bb", {"aa"}}});
  const auto told = folder_ / "told";
  ::setenv("WINNOW_PROGRESS_FILE", told.c_str(), 1);
  list_ = {1};
  ProgressFile in_work(files_, folder_, trials_[0], 1);
  TrialDraw waiting = group();
  EXPECT_EQ(waiting.next(), std::nullopt);
  EXPECT_FALSE(std::filesystem::exists(told)) << "nobody has got on";
  Progress further;
  further.step = 8, further.steps = 20, further.from = 7;
  in_work.update(further);
  EXPECT_EQ(waiting.next(), std::nullopt);
  EXPECT_TRUE(std::filesystem::exists(told));
  ::unsetenv("WINNOW_PROGRESS_FILE");
}

// In the order of a run what failed before stands last: it must not keep others from their turn.
TEST_F(Draw, WhatLiesBehindDependentTrialsIsTakenWhenTheseWait) {
  plan({{"aa", {}}, {"bb", {"aa"}}, {"cc", {}}, {"dd", {}}});
  TrialDraw one = group();
  EXPECT_EQ(one.next(), Taken(0));
  EXPECT_EQ(one.next(), Taken(2)) << "bb waits";
  finish("aa");
  EXPECT_EQ(one.next(), Taken(1));
  EXPECT_EQ(one.next(), Taken(3));
  EXPECT_EQ(postponed_[3], Postponed::Taken);
  EXPECT_EQ(one.next(), std::nullopt);
  EXPECT_TRUE(one.over());
}

// A worker that dies with one trial in hand must not take another one with it.
TEST_F(Draw, WhatIsHeldBackIsForTheNextRoundUntilItIsTaken) {
  plan({{"aa", {}}, {"bb", {"aa"}}, {"cc", {}}});
  finish("aa");
  TrialDraw one = group();
  EXPECT_EQ(one.next(), Taken(0));
  EXPECT_EQ(one.next(), Taken(1));
  EXPECT_EQ(postponed_[2], Postponed::Waiting);
  EXPECT_EQ(one.next(), Taken(2));
  EXPECT_EQ(postponed_[2], Postponed::Taken);
}

TEST_F(Draw, WithoutNeedsItIsTheListAndOneCounter) {
  plan({{"aa", {}}, {"bb", {}}});
  EXPECT_EQ(TrialDraw::counters(trials_, list_), 1u);
  TrialDraw one = group();
  EXPECT_EQ(one.next(), Taken(0));
  EXPECT_EQ(one.next(), Taken(1));
  EXPECT_EQ(one.next(), std::nullopt);
  EXPECT_TRUE(one.over());
}

// What a look costs must not grow with the number of trials that wait.
TEST_F(Draw, ThousandsThatWaitForOneAreWokenByIt) {
  constexpr std::size_t kStudents = 3000;
  std::vector<std::pair<std::string, std::vector<std::string>>> trials = {{"aa", {}}};
  for (std::size_t i = 0; i < kStudents; ++i) trials.push_back({fmt::format("bb{:04x}", i), {"aa"}});
  plan(trials);
  TrialDraw one = group(), two = group();
  EXPECT_EQ(one.next(), Taken(0));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(two.next(), std::nullopt);
  finish("aa");
  std::size_t drawn = 0;
  for (bool any = true; any;) {
    const auto first = one.next(), second = two.next();
    drawn += (first ? 1 : 0) + (second ? 1 : 0);
    any = first || second;
  }
  EXPECT_EQ(drawn, kStudents);
  EXPECT_LT(files_.asked, 100u);
  EXPECT_TRUE(one.over() && two.over());
}

TEST_F(Draw, ThousandsThatEachWaitForTheirOwnCostNoMoreThanTheyAre) {
  constexpr std::size_t kPairs = 2000;
  std::vector<std::pair<std::string, std::vector<std::string>>> trials;
  for (std::size_t i = 0; i < kPairs; ++i) trials.push_back({fmt::format("aa{:04x}", i), {}});
  for (std::size_t i = 0; i < kPairs; ++i) trials.push_back({fmt::format("bb{:04x}", i), {trials[i].first}});
  plan(trials);
  TrialDraw one = group();
  for (std::size_t i = 0; i < kPairs; ++i) EXPECT_EQ(one.next(), Taken(i));
  for (std::size_t i = 0; i < kPairs; ++i) finish(trials[i].first);
  std::set<std::size_t> drawn;
  for (int looks = 0; drawn.size() < kPairs && looks < 100'000; ++looks) {
    if (const auto next = one.next()) drawn.insert(*next);
  }
  EXPECT_EQ(drawn.size(), kPairs);
  EXPECT_LT(files_.asked, 10 * kPairs);
  EXPECT_TRUE(one.over());
}

TEST(Note, TheGreaterStays) {
  Postponed place = Postponed::Untouched;
  note(place, Postponed::Taken);
  note(place, Postponed::Waiting);
  EXPECT_EQ(place, Postponed::Taken);
  note(place, Postponed::InWorkElsewhere);
  EXPECT_EQ(place, Postponed::InWorkElsewhere);
}

}  // namespace
}  // namespace winnow::test
