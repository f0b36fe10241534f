// A thread that trains beside others: when it lets those go on that wait for memory of the device. On the CPU.
#include "experiments/run/trial_runner.h"

#include <chrono>
#include <thread>

#include "tests/training/run_fixture.h"
#include "tests/training/whole_trial.h"

namespace winnow::test {
namespace {

// The first trial, by this process alone.
void train_one(const TrialTable& table, const RunOptions& options, Files& files, const TrialRunner::Own& own) {
  std::vector<Postponed> postponed(1, Postponed::Untouched);
  const std::vector<int> depths(1, 0);
  const std::vector<std::size_t> list(1, 0);
  const auto self = make_self();
  const auto tickets = self->tickets(1);
  TrialRunner({.trials = table,
               .options = options,
               .threads = 1,
               .devices = {},
               .place = 0,
               .sweep_text = "",
               .read_ahead = false,
               .files = files,
               .postponed = postponed,
               .depths = depths,
               .settled = 0},
              own)
      .run(*self, *tickets, list, InWorkElsewhere::Train);
}

TEST(RunTrial, HasItsMemoryBeforeItBeginsToProbe) {
  const TrialSpec spec = spec_of("{name: snip, density: 0.1}", "epochs: 1, batch: 32, lr: 0.05");
  const auto self = make_self();
  std::string order;
  RunTrialOptions options;
  options.memory_taken = [&] { order += "memory "; };
  options.progress = [&](const TrialProgress& at) {
    if (at.step == 0 && !order.ends_with("probe ")) order += "probe ";
  };
  EXPECT_EQ(run_trial(spec, *self, options).outcome, Outcome::Done);
  EXPECT_EQ(order, "memory probe ");
}

using Flag = std::atomic<bool>;
bool comes(const Flag& flag) {
  for (int i = 0; i < 5000 && !flag; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  return flag;
}

// Asked when a trial is to begin, and in each of its steps. Another thread wants memory from the first time on.
class Asked final : public Notice {
 public:
  explicit Asked(GpuShare& share) : share_(share) {}
  void give() override {}
  bool heard() override {
    if (other_) {
      if (!went_on) went_on = comes(its_turn_);
    } else {
      other_.emplace([this] {
        GpuShare::Seat seat(share_, {.give_back = [] {}, .look = [] { return true; }});
        seat.before_trial();
        its_turn_ = true;
        seat.settled();
      });
    }
    return false;
  }
  std::optional<bool> went_on;  // that thread, by the second time

 private:
  GpuShare& share_;
  Flag its_turn_ = false;
  std::optional<std::jthread> other_;
};

// So slow that the stop is asked for in each step.
class SlowDesk final : public NewsDesk {
 public:
  void tell(const TrialNews&) override { std::this_thread::sleep_for(std::chrono::milliseconds(50)); }
};

class OneLane : public RunFixture {
 protected:
  OneLane() : RunFixture("  - replicate: 1\n") {}
};

TEST_F(OneLane, LetsOthersGoOnWhileItsTrialTrains) {
  const TrialTable table = trials();
  RunOptions options;
  options.out = out();
  GpuShare share;
  const auto goes_on = [] { return true; };
  GpuShare::Seat holder(share, {.give_back = [] {}, .look = goes_on}),
      first(share, {.give_back = [] {}, .look = goes_on});
  holder.before_trial();
  first.before_trial();
  ASSERT_TRUE(first.wait_for_room());  // its turn, so the next one waits for it
  Flag waits = false;
  Asked asked(share);
  std::jthread lane([&] {
    GpuShare::Seat seat(share, {.give_back = [&] { waits = true; }, .look = goes_on});
    SlowDesk desk;
    StopRequest stop(asked);
    Tally tally;
    const std::vector<double> costs(1, 1.0);
    LaneMeter meter(costs);
    train_one(table, options, files_, {.news = desk, .stop = stop, .tally = tally, .seat = &seat, .meter = &meter});
    EXPECT_EQ(tally[Tally::Trained], 1);
  });
  ASSERT_TRUE(comes(waits));
  first.settled();
  lane.join();
  EXPECT_EQ(asked.went_on, true) << "until the trial had ended nobody else got memory";
}

// Told to stop from the second time on that it asks.
class ToldSoon final : public Notice {
 public:
  void give() override {}
  bool heard() override { return std::exchange(asked_, true); }

 private:
  bool asked_ = false;
};

// Whose trial is told to stop between its start and its first step.
class News final : public NewsDesk {
 public:
  void tell(const TrialNews& news) override {
    all.push_back(news);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  std::vector<TrialNews> all;
};

class Probing : public RunFixture {
 protected:
  Probing() : RunFixture("  - cases:\n      - {name: snip, method.density: 0.1}\n    key: method.name\n") {}
};

// A heartbeat that says less than 0 is one that nobody believes: others would take the trial up, too.
TEST_F(Probing, BeforeItsFirstStepATrialHasGoneOnFromNone) {
  const TrialTable table = trials();
  RunOptions options;
  options.out = out();
  ToldSoon told;
  StopRequest stop(told);
  News news;
  Tally tally;
  train_one(table, options, files_, {.news = news, .stop = stop, .tally = tally});
  ASSERT_FALSE(news.all.empty());
  EXPECT_EQ(news.all.back().saved, 0);
  for (const TrialNews& each : news.all) EXPECT_EQ(each.progress.from, 0);
}

}  // namespace
}  // namespace winnow::test
