// How many trials a worker has room for in a round, and a rank that trains several at once. On the CPU.
#include "experiments/run/sweep_rounds.h"

#include <unistd.h>

#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <thread>

#include "experiments/results/checkpoint_file.h"
#include "experiments/results/layout.h"
#include "experiments/results/status.h"
#include "experiments/results/trial_file.h"
#include "experiments/run/rung_board.h"
#include "tests/training/rounds_of_one_rank.h"
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

// Of four trials three wait at the first rung for the first one, and two go on then.
class Rounds : public RunFixture {
 protected:
  Rounds() : RunFixture("  - train.epochs: [3]\n  - replicate: 4\n") {}
  void SetUp() override {
    RunFixture::SetUp();
    table_ = trials();
    RungBoard board(files_, out(), rule_, table_);
    for (const std::size_t at : {1, 2, 3}) {
      board.arrived(at, {.columns = {{.name = "epoch", .values = std::vector<double>{1}},
                                     {.name = "train_loss", .values = std::vector<double>{0.01}}}});
    }
  }
  const StopRule rule_ = {.kind = StopRule::Kind::Halving, .metric = "train_loss", .min = 1, .eta = 2, .by = {}};
  TrialTable table_;
};

TEST_F(Rounds, UnderARuleAWorkerHasRoomForWhatATrialLetsPastItsRung) {
  NotingFiles files(folder_ / "threads");
  RoundsOfOneRank run(table_, files, out(), {.rule = &rule_, .by_workers = true, .at_once = 2});
  EXPECT_TRUE(run.rounds.train_due({0})) << run.said.str();
  EXPECT_EQ(files.threads(), 2u) << run.said.str();
  EXPECT_EQ(read_status(files, out(), unix_now()).done.size(), 1u) << run.said.str();
}

TEST_F(Rounds, UnderARuleARankTrainsWhatEndedAProcessBeforeAloneAndWhatItLetsPastItsRung) {
  CheckpointFolder(files_, out(), table_.name(0)).note_crash(1, "its process ended by signal 11", CrashOf::Several);
  RoundsOfOneRank run(table_, files_, out(), {.rule = &rule_, .at_once = 2});
  EXPECT_TRUE(run.rounds.train_due({0})) << run.said.str();
  EXPECT_EQ(read_status(files_, out(), unix_now()).done.size(), 1u) << run.said.str();
}

// Knows which thread tells of each trial in work how far it is.
class WatchedFiles final : public PosixFiles {
 public:
  std::thread::id trained_by(const std::string& trial) const {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find_if(threads_, [&](const auto& told) { return told.first.starts_with(trial); });
    return found == threads_.end() ? std::thread::id() : found->second;
  }

 protected:
  void rename(const Path& from, const Path& to) override {
    if (to.parent_path().filename() == "running") {
      const std::lock_guard lock(mutex_);
      threads_[to.filename().string()] = std::this_thread::get_id();
    }
    PosixFiles::rename(from, to);
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::thread::id> threads_;
};

class RankRounds : public RunFixture {
 protected:
  explicit RankRounds(const std::string& epochs = "3")
      : RunFixture("  - train.epochs: [" + epochs + "]\n  - replicate: 5\n") {}
  std::vector<std::string> digests() const {
    const TrialTable table = trials();
    std::vector<std::string> all;
    for (std::size_t at = 0; at < table.size(); ++at) {
      all.push_back(read_header(files_, Layout(out()).trial(table.name(at))).content_digest);
    }
    return all;
  }
};

TEST_F(RankRounds, SeveralTrialsOfARankHaveTheResultsOfTrialsAlone) {
  const TrialTable table = trials();
  std::vector<std::string> alone;
  for (const int at_once : {1, 3}) {
    WatchedFiles files;
    RoundsOfOneRank run(table, files, out(), {.at_once = at_once});
    EXPECT_TRUE(run.rounds.train_all({0, 1, 2, 3, 4})) << run.said.str();
    EXPECT_EQ(run.tally[Tally::Trained], 5) << run.said.str();
    EXPECT_EQ(files.trained_by(table.name(0)) == std::this_thread::get_id(), at_once == 1);
    if (at_once == 1) alone = digests();
    EXPECT_EQ(digests(), alone);
    std::filesystem::remove_all(out());
  }
}

// It is left for a round in which the rank trains one at a time.
TEST_F(RankRounds, WhatEndedAProcessBeforeIsTrainedAlone) {
  const TrialTable table = trials();
  CheckpointFolder folder(files_, out(), table.name(2));
  folder.note_crash(1, "its process ended by signal 11", CrashOf::Several);
  WatchedFiles files;
  RoundsOfOneRank run(table, files, out(), {.at_once = 5});
  EXPECT_TRUE(run.rounds.train_all({0, 1, 2, 3, 4})) << run.said.str();
  EXPECT_EQ(run.tally[Tally::Trained], 5) << run.said.str();
  EXPECT_EQ(folder.crashes(), 0u) << "it has a result";
  for (std::size_t at = 0; at < table.size(); ++at) {
    EXPECT_EQ(files.trained_by(table.name(at)) == std::this_thread::get_id(), at == 2) << at;
  }
}

class EndlessRankRounds : public RankRounds {
 protected:
  EndlessRankRounds() : RankRounds("1000000") {}
};

TEST_F(EndlessRankRounds, AnErrorThatIsNoTrialsEndsAllAtOnce) {
  const TrialTable table = trials();
  class Failing final : public PosixFiles {
   public:
    explicit Failing(std::string trial) : trial_(std::move(trial)) {}

   protected:
    std::vector<std::string> names(const Path& folder) override {
      if (folder.filename() == trial_) fail(ErrorKind::Io, "the disk is gone");
      return PosixFiles::names(folder);
    }

   private:
    std::string trial_;
  };
  Failing files(table.name(2));
  RoundsOfOneRank run(table, files, out(), {.at_once = 5});
  try {
    run.rounds.train_all({0, 1, 2, 3, 4});
    ADD_FAILURE() << "goes on";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Io);
    EXPECT_STREQ(error.what(), "the disk is gone");
  }
  EXPECT_FALSE(std::filesystem::exists(out() / "failed"));
  EXPECT_TRUE(files_.list(Layout(out()).running()).empty()) << "a thread goes on";
}

}  // namespace
}  // namespace winnow::test
