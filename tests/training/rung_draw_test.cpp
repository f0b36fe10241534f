// What a group takes up under a rule, how often it looks while it has nothing to do, and for how long.
#include "experiments/run/rung_draw.h"

#include <gtest/gtest.h>

#include <thread>

#include "experiments/results/layout.h"
#include "experiments/results/progress_file.h"
#include "tests/sweep/sweep_fixture.h"

namespace winnow::test {
namespace {

using Taken = std::optional<std::size_t>;
using std::chrono::milliseconds;

class RungDrawTest : public SweepFiles {
 protected:
  // Trials of 4 epochs with rungs at 1 and 2.
  void SetUp() override {
    SweepFiles::SetUp();
    for (const char* id : {"aa", "bb"}) {
      TrialSpec spec;
      spec.id = id;
      spec.settings.set("train.epochs", "4ep");
      trials_.add(spec);
    }
    postponed_.assign(trials_.size(), Postponed::Untouched);
    depths_.assign(trials_.size(), 0);
    tickets_ = make_self()->tickets(1);
  }
  RungDraw group(RungBoard& board) {
    return {{.trials = trials_,
             .files = files_,
             .out = folder_,
             .postponed = postponed_,
             .depths = depths_,
             .settled = 0,
             .any_died = &any_died_},
            board,
            list_,
            *tickets_};
  }
  // Asks as a group without work does, for so long. Was it over?
  static bool ask(RungDraw& draw, milliseconds time) {
    for (const auto end = std::chrono::steady_clock::now() + time; std::chrono::steady_clock::now() < end;) {
      EXPECT_EQ(draw.next(), std::nullopt);
      if (draw.over()) return true;
      std::this_thread::sleep_for(milliseconds(20));
    }
    return false;
  }
  static Table curve(double loss) {
    return {.columns = {{.name = "epoch", .values = std::vector<double>{1}},
                        {.name = "train_loss", .values = std::vector<double>{loss}}}};
  }

  bool leaves_soon_where_the_other_is(Postponed left) {
    RungBoard own(files_, folder_, rule_, trials_), others(files_, folder_, rule_, trials_);
    RungDraw one = group(own), other = group(others);
    EXPECT_EQ(one.next(), Taken(0));
    EXPECT_EQ(other.next(), Taken(1));
    note(postponed_[1], left);
    own.arrived(0, curve(0.5));
    return ask(one, milliseconds(6000));
  }

  class CountingFiles final : public PosixFiles {
   public:
    std::size_t listed = 0;  // folders

   protected:
    std::vector<std::string> names(const Path& folder) override {
      ++listed;
      return PosixFiles::names(folder);
    }
  };

  CountingFiles files_;
  StopRule rule_ = {.kind = StopRule::Kind::Halving, .metric = "train_loss", .min = 1, .eta = 2, .by = {}};
  TrialTable trials_;
  std::vector<std::size_t> list_ = {0, 1};
  std::vector<Postponed> postponed_;
  std::vector<int> depths_;
  std::unique_ptr<Tickets> tickets_;
  std::atomic<bool> any_died_ = false;
};

TEST_F(RungDrawTest, WaitsForATrialInWorkAndTakesUpWhatItLetsPast) {
  RungBoard own(files_, folder_, rule_, trials_), others(files_, folder_, rule_, trials_);
  RungDraw one = group(own), other = group(others);
  EXPECT_EQ(one.next(), Taken(0));
  EXPECT_EQ(other.next(), Taken(1));
  own.arrived(0, curve(0.5));
  EXPECT_EQ(one.next(), std::nullopt);
  EXPECT_FALSE(ask(one, milliseconds(1500))) << "nobody is seen at work, which may be the file system's fault";
  others.arrived(1, curve(0.9));
  std::optional<std::size_t> found;
  for (int i = 0; i < 200 && !found; ++i) {
    found = one.next();
    EXPECT_TRUE(found || !one.over());
    std::this_thread::sleep_for(milliseconds(20));
  }
  EXPECT_EQ(found, Taken(0));
}

TEST_F(RungDrawTest, LooksLessAndLessOftenWhileNothingChanges) {
  RungBoard own(files_, folder_, rule_, trials_), others(files_, folder_, rule_, trials_);
  RungDraw one = group(own), other = group(others);
  EXPECT_EQ(one.next(), Taken(0));
  EXPECT_EQ(other.next(), Taken(1));
  own.arrived(0, curve(0.5));
  files_.listed = 0;
  EXPECT_FALSE(ask(one, milliseconds(1300)));
  // After 0, 0.1, 0.3 and 0.7 s; each look lists journals and heartbeats.
  EXPECT_LE(files_.listed, 8u);
  EXPECT_GE(files_.listed, 4u);
}

TEST_F(RungDrawTest, AfterADeathItLeavesSoonUnlessSomebodyIsAtWork) {
  RungBoard own(files_, folder_, rule_, trials_), others(files_, folder_, rule_, trials_);
  RungDraw one = group(own), other = group(others);
  EXPECT_EQ(one.next(), Taken(0));
  EXPECT_EQ(other.next(), Taken(1));
  own.arrived(0, curve(0.5));
  any_died_ = true;
  {
    const ProgressFile at_work(files_, folder_, trials_[1], 1);
    EXPECT_FALSE(ask(one, milliseconds(2500)));
  }
  EXPECT_TRUE(ask(one, milliseconds(6000)));
}

TEST_F(RungDrawTest, SoItDoesForATrialThatIsLeftToAnotherRun) {
  EXPECT_TRUE(leaves_soon_where_the_other_is(Postponed::InWorkElsewhere));
}

TEST_F(RungDrawTest, AndForOneThatIsLeftToALaterRound) {
  EXPECT_TRUE(leaves_soon_where_the_other_is(Postponed::Suspect));
}

// It was begun by a run that was told to stop: its heartbeat is gone, and it has not come to its rung.
TEST_F(RungDrawTest, SoItDoesForOneThatIsInWorkNoMore) {
  RungBoard own(files_, folder_, rule_, trials_), others(files_, folder_, rule_, trials_);
  RungDraw one = group(own), other = group(others);
  EXPECT_EQ(one.next(), Taken(0));
  EXPECT_EQ(other.next(), Taken(1));
  {
    const ProgressFile heartbeat(files_, folder_, trials_[1], 1);
    own.arrived(0, curve(0.5));
    EXPECT_FALSE(ask(one, milliseconds(300)));
  }
  EXPECT_FALSE(ask(one, milliseconds(8000))) << "what it was saved as may be on its way";
  EXPECT_TRUE(ask(one, milliseconds(12000)));
}

// Where few had come somebody let it past a rung at which it would stay by what is known now.
TEST_F(RungDrawTest, StaysForATrialThatAnotherGroupLetPastItsRung) {
  rule_ = {.kind = StopRule::Kind::Median, .metric = "train_loss", .min = 1, .every = 1, .trials = 2, .by = {}};
  RungBoard own(files_, folder_, rule_, trials_), others(files_, folder_, rule_, trials_);
  RungDraw one = group(own), other = group(others);
  EXPECT_EQ(one.next(), Taken(0));
  EXPECT_EQ(other.next(), Taken(1));
  others.arrived(1, curve(0.9));
  EXPECT_EQ(other.next(), Taken(1)) << "nobody else has come";
  own.arrived(0, curve(0.5));
  EXPECT_EQ(one.next(), Taken(0));
  own.finished(0);
  EXPECT_EQ(one.next(), std::nullopt);
  EXPECT_FALSE(one.over()) << "what it comes to may let others go on";
}

TEST_F(RungDrawTest, WhatAnotherRunBroughtToItsRungIsTakenUpAgain) {
  RungBoard own(files_, folder_, rule_, trials_), others(files_, folder_, rule_, trials_);
  RungDraw one = group(own);
  EXPECT_EQ(one.next(), Taken(0));
  const auto place = Layout(folder_).stopped("bb-r0");
  std::filesystem::create_directories(place.parent_path());
  std::ofstream(place) << "its curve";
  others.arrived(1, curve(0.1));
  EXPECT_EQ(one.next(), std::nullopt);
  EXPECT_EQ(postponed_[1], Postponed::Ended);
  own.arrived(0, curve(0.5));
  std::optional<std::size_t> found;
  for (int i = 0; i < 200 && !(found = one.next()); ++i) std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(found, Taken(1));
  EXPECT_EQ(postponed_[1], Postponed::Taken) << "if its process dies now, it has not ended";
}

TEST_F(RungDrawTest, NobodyWaitsForATrialWhoseResultCannotBeRead) {
  const auto path = Layout(folder_).trial("bb-r0");
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << "no result";
  list_ = {0};
  RungBoard own(files_, folder_, rule_, trials_);
  RungDraw one = group(own);
  EXPECT_EQ(one.next(), Taken(0));
  own.arrived(0, curve(0.5));
  EXPECT_EQ(one.next(), std::nullopt) << "it decides nothing either";
  EXPECT_TRUE(one.over());
}

}  // namespace
}  // namespace winnow::test
