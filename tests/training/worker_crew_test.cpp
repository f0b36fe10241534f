// What becomes of trials whose worker dies: at which moment, and with which words. On the CPU.
#include "experiments/run/worker_crew.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "experiments/results/failure_file.h"
#include "experiments/results/layout.h"
#include "experiments/results/trial_file.h"
#include "tests/training/run_fixture.h"

namespace winnow::test {
namespace {

// Its worker dies when it has drawn the first trial, before it can note that.
class DyingTickets final : public Tickets {
 public:
  explicit DyingTickets(std::unique_ptr<Tickets> of) : of_(std::move(of)) {}
  std::int64_t next(std::size_t counter) override {
    const std::int64_t ticket = of_->next(counter);
    if (counter == 0 && ticket == 0) ::kill(::getpid(), SIGKILL);
    return ticket;
  }

 private:
  std::unique_ptr<Tickets> of_;
};

// Its worker dies before it draws a trial: twice at first, and then after each one.
class RestlessTickets final : public Tickets {
 public:
  RestlessTickets(std::unique_ptr<Tickets> of, const std::filesystem::path& notes)
      : of_(std::move(of)), notes_(notes) {}
  std::int64_t next(std::size_t counter) override {
    const std::uintmax_t before = std::filesystem::exists(notes_) ? std::filesystem::file_size(notes_) : 0;
    std::ofstream(notes_, std::ios::app) << '.';
    if (before == 0 || before % 2 == 1) ::kill(::getpid(), SIGKILL);
    return of_->next(counter);
  }

 private:
  std::unique_ptr<Tickets> of_;
  std::filesystem::path notes_;
};

class RestlessCrew final : public WorkerCrew {
 public:
  using WorkerCrew::WorkerCrew;
  static inline std::filesystem::path notes = {};

 protected:
  std::unique_ptr<Tickets> tickets() override {
    return std::make_unique<RestlessTickets>(WorkerCrew::tickets(), notes);
  }
};

// One that dies whenever it is about to draw.
class HopelessTickets final : public Tickets {
 public:
  std::int64_t next(std::size_t) override {
    ::kill(::getpid(), SIGKILL);
    return 0;
  }
};

class HopelessCrew final : public WorkerCrew {
 public:
  using WorkerCrew::WorkerCrew;

 protected:
  std::unique_ptr<Tickets> tickets() override { return std::make_unique<HopelessTickets>(); }
};

class UnluckyCrew final : public WorkerCrew {
 public:
  using WorkerCrew::WorkerCrew;

 protected:
  std::unique_ptr<Tickets> tickets() override { return std::make_unique<DyingTickets>(WorkerCrew::tickets()); }
};

// Replicates 0 and 2 speak before their first step; the process of each but 0 dies as it writes the result.
class SpeakingFiles final : public PosixFiles {
 protected:
  void write(int file, Bytes bytes, const Path& path) override {
    const std::string place = path.string();
    const auto is = [&](const char* words) { return place.find(words) != std::string::npos; };
    for (const char* replicate : {"-r0", "-r2"}) {
      if (is("/running/") && is(replicate)) std::cerr << "words of " << replicate << "\n" << std::flush;
    }
    if (is("/trials/") && !is("-r0")) ::kill(::getpid(), SIGKILL);
    PosixFiles::write(file, bytes, path);
  }
};

// Each process dies as soon as the result of its trial is there.
class LastBreathFiles final : public PosixFiles {
 protected:
  void sync_folder(const Path& folder) override {
    PosixFiles::sync_folder(folder);
    if (folder.parent_path().filename() == "trials") ::kill(::getpid(), SIGKILL);
  }
};

// The process of a trial that has failed dies as it is about to tell so.
class SilencedFiles final : public PosixFiles {
 protected:
  void write(int file, Bytes bytes, const Path& path) override {
    if (path.string().find("/failed/") != std::string::npos) {
      static FatalWords words;
      std::cerr.rdbuf(&words);
    }
    PosixFiles::write(file, bytes, path);
  }

 private:
  class FatalWords final : public std::streambuf {
    std::streamsize xsputn(const char*, std::streamsize size) override {
      ::kill(::getpid(), SIGKILL);
      return size;
    }
  };
};

class WatchfulCrew final : public WorkerCrew {
 public:
  using WorkerCrew::WorkerCrew;

 protected:
  std::chrono::seconds patience() const override { return std::chrono::seconds(1); }
};

// The process of replicate 1 is stopped before its first step, and goes on or is killed eight seconds later.
class StandingFiles final : public PosixFiles {
 public:
  explicit StandingFiles(int then) : then_(then) {}

 protected:
  void write(int file, Bytes bytes, const Path& path) override {
    const bool here = path.string().find("/running/") != std::string::npos &&
                      path.string().find("-r1") != std::string::npos && !std::exchange(stood_, true);
    if (here && std::filesystem::create_directory(path.parent_path().parent_path() / "stood")) {
      const pid_t self = ::getpid();
      if (::fork() == 0) {
        ::close(STDERR_FILENO);
        ::sleep(8);
        ::kill(self, then_);
        ::_exit(0);
      }
      ::raise(SIGSTOP);
    }
    PosixFiles::write(file, bytes, path);
  }

 private:
  int then_;
  bool stood_ = false;
};

class Crew : public RunFixture {
 protected:
  Crew() : RunFixture("  - replicate: 3\n") {}
  void SetUp() override {
    RunFixture::SetUp();
    for (const TrialSpec& spec : trials()) specs_.push_back(spec);
    options_.out = out();
  }
  // One worker, with one trial at a time, or room for two.
  template <class Of>
  void run(Files& files, int most) {
    table_ = TrialTable(specs_);
    postponed_.assign(table_.size(), Postponed::Untouched);
    const std::vector<double> costs(table_.size(), 1.0);
    const std::vector<int> depths(table_.size(), 0);
    const std::vector<std::size_t> list = {0, 1, 2};
    said_.str("");
    Console console(false, false, said_, Terminal{});
    const auto mail = make_self()->mail();
    FrontDesk desk(console, *mail, table_, costs);
    Of crew({.trials = table_,
             .options = options_,
             .threads = 1,
             .devices = devices_,
             .sweep_text = "",
             .read_ahead = false,
             .files = files,
             .desk = desk,
             .tally = tally_,
             .postponed = postponed_,
             .step_costs = costs,
             .depths = depths,
             .settled = 0},
            1, {.most = most, .from_the_start = false}, TrialDraw::counters(table_, list));
    EXPECT_TRUE(crew.run(list, InWorkElsewhere::Postpone)) << said_.str();
  }
  // What is noted of the first time that the trial's process died.
  std::string crash(std::size_t at) {
    const auto path = Layout(out()).checkpoints(specs_[at].name()) / "00000001.crash";
    return nlohmann::json::parse(text_of(files_.read(path))).at("reason");
  }
  std::string reason(std::size_t at) { return failure_reason(files_, out(), specs_[at].name()).value_or(""); }

  std::vector<TrialSpec> specs_;
  TrialTable table_;
  RunOptions options_;
  RunDevices devices_;
  Tally tally_;
  std::vector<Postponed> postponed_;
  std::ostringstream said_;
};

// The record of an earlier failure says nothing of this run, and that of this run is no reason to train a trial again.
TEST_F(Crew, ATrialThatIsLostAsItIsDrawnIsGivenBackAlsoIfItHasFailedBefore) {
  record_failure(files_, out(), specs_[0], "no luck");
  specs_[2].needs.push_back({"dense", "teacher", "method.teacher", "00aa-r0"});
  for (const int most : {1, 2}) {
    tally_ = {};
    run<UnluckyCrew>(files_, most);
    EXPECT_EQ(postponed_, (std::vector{Postponed::Suspect, Postponed::Ended, Postponed::Ended})) << most;
    EXPECT_EQ(tally_[Tally::Trained] + tally_[Tally::Elsewhere], 1) << most;
    EXPECT_EQ(tally_[Tally::Failed], 1) << most;
    EXPECT_EQ(reason(2), "its teacher 00aa-r0 has no result");
  }
}

TEST_F(Crew, DeathsBetweenTrialsCountOnlyWhereNothingIsDoneBetweenThem) {
  RestlessCrew::notes = folder_ / "draws";
  run<RestlessCrew>(files_, 1);
  EXPECT_GE(std::filesystem::file_size(RestlessCrew::notes), 7u);
  EXPECT_EQ(tally_[Tally::Trained], 3);
}

TEST_F(Crew, WorkersThatDieBeforeTheyTrainAnythingEndTheRun) {
  try {
    run<HopelessCrew>(files_, 1);
    ADD_FAILURE() << "ended well";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Internal);
    EXPECT_STREQ(error.what(),
                 "workers end before they train anything: ended by signal 9 (Killed), perhaps for want of memory");
  }
}

TEST_F(Crew, OnlyWordsOfTheTrialItselfAreTheReasonOfItsFailure) {
  SpeakingFiles files;
  run<WorkerCrew>(files, 1);
  EXPECT_EQ(tally_[Tally::Trained], 1);
  const std::string killed = "its process ended by signal 9 (Killed), perhaps for want of memory";
  EXPECT_EQ(crash(1), killed) << "neither news nor the words of the trial before";
  EXPECT_EQ(crash(2), killed + ": words of -r2") << "which news followed";
  EXPECT_EQ(postponed_, (std::vector{Postponed::Ended, Postponed::Suspect, Postponed::Suspect}));
}

TEST(StillWorkers, SaysOnceThatOneStandsStillAndThatItGoesOn) {
  const pid_t child = ::fork();
  if (child == 0) {
    for (;;) ::pause();
  }
  StillWorkers still(1);
  const pid_t processes[] = {-1, child};
  // Until something is to be said, or for so many seconds.
  const auto said = [&](int most) {
    std::vector<StillWorkers::Change> changes;
    for (int tenth = 0; tenth < 10 * most && changes.empty(); ++tenth) {
      changes = still.look(processes);
      ::usleep(100'000);
    }
    return changes;
  };
  EXPECT_TRUE(said(2).empty());
  ::kill(child, SIGSTOP);
  const auto stands = said(30);
  EXPECT_TRUE(said(2).empty()) << "twice";
  ::kill(child, SIGCONT);
  const auto goes_on = said(30);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ASSERT_TRUE(stands.size() == 1 && goes_on.size() == 1);
  EXPECT_TRUE(stands[0].worker == 1 && stands[0].process == child && stands[0].still);
  EXPECT_TRUE(goes_on[0].worker == 1 && goes_on[0].process == child && !goes_on[0].still);
}

TEST_F(Crew, AWorkerThatStandsStillIsNamedWaitedForAndGoesOn) {
  std::map<std::string, std::string> alone;
  {
    run<WatchfulCrew>(files_, 1);
    for (const TrialSpec& spec : specs_) {
      alone[spec.name()] = read_header(files_, Layout(out()).trial(spec.name())).content_digest;
    }
    EXPECT_EQ(said_.str().find("worker process"), std::string::npos) << said_.str();
    std::filesystem::remove_all(out());
  }
  for (const int then : {SIGCONT, SIGKILL}) {
    tally_ = {};
    StandingFiles files(then);
    run<WatchfulCrew>(files, 1);
    const std::string said = said_.str();
    const auto at = said.find(" has been stopped for 1 s, with " + specs_[1].name() + " in hand, and is waited for: ");
    ASSERT_NE(at, std::string::npos) << said;
    const std::string process = said.substr(said.rfind(' ', at - 1) + 1, at - said.rfind(' ', at - 1) - 1);
    EXPECT_NE(said.find("'kill -CONT " + process + "' lets it go on, 'kill -9 " + process + "' gives back"),
              std::string::npos)
        << said;
    EXPECT_EQ(said.find(" has been stopped", at + 1), std::string::npos) << "once\n" << said;
    EXPECT_EQ(said.find(specs_[1].name() + "  given back, to begin again") != std::string::npos, then == SIGKILL)
        << said;
    EXPECT_EQ(tally_[Tally::Trained], then == SIGCONT ? 3 : 2);
    for (const TrialSpec& spec : specs_) {
      if (then == SIGKILL && spec.name() == specs_[1].name()) continue;  // of the next round
      EXPECT_EQ(read_header(files_, Layout(out()).trial(spec.name())).content_digest, alone[spec.name()]);
    }
    std::filesystem::remove_all(out());
  }
}

TEST_F(Crew, WhoDiesBeforeItTellsOfAFailureIsHeardAllTheSame) {
  specs_[2].needs.push_back({"dense", "teacher", "method.teacher", "00aa-r0"});
  SilencedFiles files;
  run<WorkerCrew>(files, 1);
  EXPECT_EQ(tally_[Tally::Trained], 2);
  EXPECT_EQ(tally_[Tally::Failed], 1);
  EXPECT_NE(said_.str().find("failed: its teacher 00aa-r0 has no result"), std::string::npos) << said_.str();
}

// Otherwise the journal has it in work for as long as the run goes on.
TEST_F(Crew, WhoDiesAfterItsResultIsThereHasEndedItsTrial) {
  LastBreathFiles files;
  run<WorkerCrew>(files, 1);
  EXPECT_EQ(tally_[Tally::Trained], 3);
  EXPECT_EQ(postponed_, std::vector(3, Postponed::Ended));
  for (const TrialSpec& spec : specs_) {
    const auto at = said_.str().find("published, and then its process ended", said_.str().find(spec.name()));
    EXPECT_NE(at, std::string::npos) << spec.name() << "\n" << said_.str();
  }
}

}  // namespace
}  // namespace winnow::test
