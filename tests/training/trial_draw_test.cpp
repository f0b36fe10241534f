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
      TrialSpec& spec = trials_.emplace_back();
      spec.id = id;
      for (const auto& need : needs) spec.needs.push_back({"m", "teacher", "method.teacher", need + "-r0"});
      list_.push_back(list_.size());
    }
    order_ = need_order(trials_, std::vector<double>(trials_.size(), 1.0));
    tickets_ = make_self()->tickets(TrialDraw::counters(trials_, list_));
    postponed_.assign(trials_.size(), kUntouched);
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
  void finish(const std::string& id) {
    const auto path = Layout(folder_).trial(id + "-r0");
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << "a result";
  }

  PosixFiles files_;
  std::vector<TrialSpec> trials_;
  std::vector<std::size_t> list_;
  NeedOrder order_;
  std::unique_ptr<Tickets> tickets_;
  std::vector<std::uint64_t> postponed_;
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
  EXPECT_EQ(postponed_, (std::vector<std::uint64_t>{kUntouched, kUntouched, kTaken, kTaken, kTaken}));
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
  EXPECT_EQ(postponed_[1], kWaiting);
  // In the next round nothing is waited for: whoever takes it up finds out why there is no result.
  tickets_ = make_self()->tickets(2);
  list_ = {1};
  TrialDraw later = group(1);
  EXPECT_EQ(later.next(), Taken(1));
  EXPECT_EQ(later.next(), std::nullopt);
  EXPECT_TRUE(later.over());
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
  EXPECT_EQ(postponed_[3], kTaken);
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
  EXPECT_EQ(postponed_[2], kWaiting);
  EXPECT_EQ(one.next(), Taken(2));
  EXPECT_EQ(postponed_[2], kTaken);
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

TEST(Note, TheGreaterStays) {
  std::uint64_t place = kUntouched;
  note(place, kTaken);
  note(place, kWaiting);
  EXPECT_EQ(place, kTaken);
  note(place, kInWorkElsewhere);
  EXPECT_EQ(place, kInWorkElsewhere);
}

}  // namespace
}  // namespace winnow::test
