// How many trials a worker has room for in a round. On the CPU.
#include "experiments/run/sweep_rounds.h"

#include <unistd.h>

#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "experiments/results/status.h"
#include "experiments/run/rung_board.h"
#include "tests/training/run_fixture.h"

namespace winnow::test {
namespace {

// Notes each thread of a worker that looks at what is known of the rungs.
class NotingFiles final : public PosixFiles {
 public:
  explicit NotingFiles(std::filesystem::path notes) : notes_(std::move(notes)) {}
  std::size_t threads() const {
    std::set<std::string> seen;
    std::ifstream in(notes_);
    for (std::string line; std::getline(in, line);) seen.insert(line);
    return seen.size();
  }

 protected:
  std::vector<std::string> names(const Path& folder) override {
    if (::getpid() != run_ && folder.string().find("/rungs/") != std::string::npos) {
      std::ostringstream line;
      line << std::this_thread::get_id() << "\n";
      std::ofstream(notes_, std::ios::app) << line.str();
    }
    return PosixFiles::names(folder);
  }

 private:
  std::filesystem::path notes_;
  pid_t run_ = ::getpid();
};

class Rounds : public RunFixture {
 protected:
  Rounds() : RunFixture("  - train.epochs: [3]\n  - replicate: 4\n") {}
};

// Of four trials three wait at the first rung for the last one, and two go on then.
TEST_F(Rounds, UnderARuleAWorkerHasRoomForWhatATrialLetsPastItsRung) {
  const TrialTable table = trials();
  const StopRule rule = {.kind = StopRule::Kind::Halving, .metric = "train_loss", .min = 1, .eta = 2, .by = {}};
  NotingFiles files(folder_ / "threads");
  {
    RungBoard board(files, out(), rule, table);
    for (const std::size_t at : {1, 2, 3}) {
      board.arrived(at, {.columns = {{.name = "epoch", .values = std::vector<double>{1}},
                                     {.name = "train_loss", .values = std::vector<double>{0.01}}}});
    }
  }
  RunOptions options;
  options.out = out();
  const CoreShares cores;
  RunDevices devices;
  Tally tally;
  std::ostringstream said;
  Console console(false, false, said, Terminal{});
  const auto world = make_self();
  const auto mail = world->mail();
  const auto by_mail = news_by_mail(*mail);
  const auto notice = world->notice();
  StopRequest stop(*notice);
  const std::vector<Found> found(table.size(), Found::Nothing);
  const std::vector<double> costs(table.size(), 1.0);
  const NeedOrder needs = need_order(table, costs);
  FrontDesk desk(console, *mail, table, costs);
  SweepRounds rounds({.world = *world,
                      .files = files,
                      .options = options,
                      .trials = table,
                      .sweep_text = "",
                      .rule = &rule,
                      .cores = cores,
                      .devices = devices,
                      .place = 0,
                      .by_workers = true,
                      .at_once = 2,
                      .desk = desk,
                      .by_mail = *by_mail,
                      .found = found,
                      .step_costs = costs,
                      .needs = needs,
                      .crash_mark = {},
                      .stop = stop,
                      .tally = tally});
  EXPECT_TRUE(rounds.train_due({0})) << said.str();
  EXPECT_EQ(files.threads(), 2u) << said.str();
  EXPECT_EQ(read_status(files, out(), unix_now()).done.size(), 1u) << said.str();
}

}  // namespace
}  // namespace winnow::test
