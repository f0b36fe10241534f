// What a run writes into its journal, and that a run without one is no worse.
#include "experiments/run/run_journal.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>

#include "experiments/cli/event_lines.h"
#include "experiments/results/layout.h"
#include "tests/training/run_fixture.h"

namespace winnow::test {
namespace {

class JournalOfARun : public RunFixture {
 protected:
  JournalOfARun() : RunFixture("  - replicate: 2\n") {}
  std::vector<nlohmann::json> records(int attempt) const {
    const Journal journal = read_journal(files_, Layout(out()).journals() / fmt::format("run.a{:04}.jnl", attempt));
    EXPECT_TRUE(journal.damaged.empty());
    std::vector<nlohmann::json> records;
    std::ranges::copy_if(journal.records, std::back_inserter(records),
                         [](const nlohmann::json& record) { return record.at("kind") != "beat"; });
    return records;
  }
  static std::vector<std::string> kinds(const std::vector<nlohmann::json>& records) {
    std::vector<std::string> kinds;
    for (const auto& record : records) kinds.push_back(record.at("kind"));
    return kinds;
  }
};

TEST_F(JournalOfARun, HasEachTrialFromItsStartToItsEnd) {
  const RunSaid said = winnow({"run", "--workers", "1", "--threads", "1"});
  ASSERT_EQ(said.code, 0) << said.err;
  const auto found = records(1);
  EXPECT_EQ(kinds(found),
            (std::vector<std::string>{"attempt", "start", "epoch", "end", "start", "epoch", "end", "over"}));
  EXPECT_EQ(found[0].at("trials"), 2);
  EXPECT_EQ(found[1].at("trial"), trials().name(0));
  EXPECT_EQ(found[2].at("epoch"), 1.0);
  EXPECT_EQ(found[2].at("step"), 4);
  EXPECT_TRUE(found[2].at("test_acc").is_number());
  EXPECT_EQ(found[3].at("state"), "done");
  EXPECT_EQ(found[7].at("code"), 0);
  EXPECT_GT(found[7].at("seconds").at("useful"), 0);
  EXPECT_EQ(found[7].at("seconds").at("lost"), 0.0);
  EXPECT_EQ(winnow({"run"}).code, 0);
  EXPECT_EQ(journals(files_, out()).size(), 1u) << "nothing was left to train";
}

// What `run --json` prints, a line each.
std::vector<nlohmann::json> lines_of(const RunSaid& said) {
  std::vector<nlohmann::json> lines;
  std::istringstream text(said.out);
  for (std::string line; std::getline(text, line);) {
    lines.push_back(nlohmann::json::parse(line));
    EXPECT_EQ(lines.back().at("schema"), "winnow-run");
    EXPECT_EQ(lines.back().at("schema_version"), "1.0");
    for (const char* name : {"schema", "schema_version"}) lines.back().erase(name);
  }
  return lines;
}

TEST_F(JournalOfARun, IsWhatJsonPrintsAndThenASummary) {
  for (const char* workers : {"1", "2"}) {  // of two, each is a process that has this standard output, too
    std::filesystem::remove_all(out());
    const RunSaid said = winnow({"run", "--workers", workers, "--threads", "1", "--quiet", "--json"});
    ASSERT_EQ(said.code, 0) << said.err;
    auto lines = lines_of(said);
    ASSERT_FALSE(lines.empty());
    const nlohmann::json summary = lines.back();
    lines.pop_back();
    EXPECT_EQ(lines, read_journal(files_, Layout(out()).journals() / "run.a0001.jnl").records);
    const nlohmann::json expected = {{"kind", "summary"},     {"trials", 2},     {"already_done", 0},
                                     {"already_diverged", 0}, {"unreadable", 0}, {"left_alone", 0},
                                     {"elsewhere", 0},        {"trained", 2},    {"diverged", 0},
                                     {"failed", 0},           {"stopped", 0},    {"code", 0}};
    EXPECT_EQ(summary, expected);
    EXPECT_EQ(said.err, "");
  }
  const auto again = lines_of(winnow({"run", "--quiet", "--json"}));
  ASSERT_EQ(again.size(), 1u) << "nothing was left to train";
  EXPECT_EQ(again[0].at("already_done"), 2);
}

// As a pipe that is full and that nobody reads.
class ReaderThatPauses : public std::stringbuf {
 public:
  void go_on() {
    const std::lock_guard lock(guard_);
    paused_ = false;
    changed_.notify_all();
  }

 private:
  int sync() override {
    std::unique_lock lock(guard_);
    changed_.wait(lock, [this] { return !paused_; });
    return 0;
  }
  std::mutex guard_;
  std::condition_variable changed_;
  bool paused_ = true;
};

TEST(EventLinesOfARun, KeepNobodyWaitingAndSayWhatWasLeftOut) {
  ReaderThatPauses reader;
  std::ostream out(&reader);
  {
    EventLines lines(out, 3);
    for (int i = 0; i < 100; ++i) lines.put({{"kind", "epoch"}, {"epoch", i}});
    lines.put({{"kind", "summary"}});
    reader.go_on();
  }
  std::vector<nlohmann::json> said;
  std::istringstream text(reader.str());
  for (std::string line; std::getline(text, line);) said.push_back(nlohmann::json::parse(line));
  ASSERT_FALSE(said.empty());
  EXPECT_EQ(said.back().at("kind"), "summary");
  said.pop_back();
  // The writer takes the first one at once or later, and there is room for another one then.
  std::size_t epochs = 0, left_out = 0;
  for (const nlohmann::json& line : said) {
    if (line.at("kind") == "left out") {
      left_out += line.at("lines").get<std::size_t>();
    } else {
      EXPECT_EQ(line.at("epoch"), epochs++ + left_out) << "in order, and with a word for what is missing";
    }
  }
  EXPECT_LE(epochs, 5u) << "no more waited than were to";
  EXPECT_EQ(epochs + left_out, 100u);
}

TEST_F(JournalOfARun, IsToldWhereItCannotBeWritten) {
  files_.make_folders(out());
  std::ofstream(Layout(out()).journals()) << "a file where the folder belongs";
  const auto lines = lines_of(winnow({"run", "--workers", "1", "--threads", "1", "--json"}));
  ASSERT_GE(lines.size(), 2u);
  EXPECT_EQ(lines.front().at("kind"), "attempt");
  EXPECT_EQ(lines.front().at("attempt"), 0);
  EXPECT_EQ(lines.back().at("trained"), 2);
}

TEST_F(JournalOfARun, IsNotNeeded) {
  files_.make_folders(out());
  std::ofstream(Layout(out()).journals()) << "a file where the folder belongs";
  const RunSaid said = winnow({"run", "--workers", "1", "--threads", "1"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_TRUE(said.has("warning: no journal: ")) << said.err;
  EXPECT_TRUE(said.has("2 trained, 0 diverged, 0 failed")) << said.err;
}

TEST_F(JournalOfARun, HasADecisionToStopOnceAndStartsNothingByIt) {
  const StopRule rule{.kind = StopRule::Kind::Halving, .metric = "val_acc"};
  RunJournal journal(files_, out(), {.part = "run", .command_line = "winnow run", .trials = 1, .rule = &rule},
                     [](const std::string& line) { ADD_FAILURE() << line; });
  journal.decided("t", {.rung = 2, .value = 0.25, .of = 9});
  journal.decided("t", {.rung = 2, .value = 0.25, .of = 9});
  journal.decided("t", {.promoted = true, .rung = 2, .value = 0.25, .of = 12, .place = 3});
  journal.decided("t", {.rung = 4, .of = 2});
  const auto found = records(1);
  EXPECT_EQ(kinds(found), (std::vector<std::string>{"attempt", "stopped", "promoted", "stopped"}));
  EXPECT_EQ(found[1].at("trial"), "t");
  EXPECT_EQ(found[1].at("rule"), rule.text());
  EXPECT_EQ(found[1].at("metric"), "val_acc");
  EXPECT_EQ(found[1].at("rung"), 2);
  EXPECT_EQ(found[1].at("value"), 0.25);
  EXPECT_EQ(found[1].at("of"), 9);
  EXPECT_FALSE(found[1].contains("place"));
  EXPECT_EQ(found[2].at("place"), 3);
  EXPECT_TRUE(found[3].at("value").is_null());
}

// By it the script knows whether the next start would do the same again.
TEST_F(JournalOfARun, ABatchScriptIsToldWhenSomethingNeedNotBeDoneAgain) {
  const auto told = folder_ / "told";
  ::setenv("WINNOW_PROGRESS_FILE", told.c_str(), 1);
  RunJournal journal(files_, out(), {.part = "run", .command_line = "winnow run", .trials = 1},
                     [](const std::string& line) { ADD_FAILURE() << line; });
  const auto is_told = [&](const TrialNews& news) {
    journal.hear("t", news);
    return std::filesystem::remove(told);
  };
  const auto at = [](std::int64_t step) {
    Progress progress;
    progress.step = step, progress.from = 10;
    return progress;
  };
  EXPECT_FALSE(is_told({}));
  EXPECT_FALSE(is_told({.saved = 0})) << "told to stop before its first step";
  EXPECT_FALSE(is_told({.saved = 10})) << "the same, of one that went on from step 10";
  EXPECT_FALSE(is_told({.progress = at(10), .saved = 10}));
  EXPECT_FALSE(is_told({.progress = at(11)})) << "not saved";
  EXPECT_TRUE(is_told({.progress = at(11), .saved = 11}));
  EXPECT_FALSE(is_told({.end = TrialEnd::Failed})) << "the next start tries it again";
  for (const TrialEnd end : {TrialEnd::Trained, TrialEnd::Diverged, TrialEnd::Elsewhere, TrialEnd::Left}) {
    EXPECT_TRUE(is_told({.end = end}));
  }
  EXPECT_EQ(winnow({"run", "--workers", "2", "--threads", "1"}).code, 0);
  EXPECT_TRUE(std::filesystem::exists(told));
  ::unsetenv("WINNOW_PROGRESS_FILE");
}

// Of a trial that is taken up, saved, taken from a process that died, and taken up again.
TEST_F(JournalOfARun, TimeSinceTheLastCheckpointIsLostWithTheProcess) {
  RunJournal journal(files_, out(), {.part = "run", .command_line = "winnow run", .ranks = 1, .trials = 1},
                     [](const std::string& line) { ADD_FAILURE() << line; });
  TrialNews news{.seconds = 50};
  journal.hear("t", news);
  journal.hear("t", {.saved = 10});
  journal.given_back("t", "its process died", true);
  journal.hear("u", {.seconds = 20});
  journal.hear("u", {.seconds = 20, .end = TrialEnd::Failed, .text = "failed: no luck"});
  journal.hear("t", {.seconds = 7});
  journal.end(75);
  const auto found = records(1);
  EXPECT_EQ(kinds(found),
            (std::vector<std::string>{"attempt", "start", "saved", "given back", "start", "end", "start", "over"}));
  const auto& seconds = found.back().at("seconds");
  EXPECT_NEAR(seconds.at("useful"), 50, 1);
  EXPECT_NEAR(seconds.at("failed"), 20, 1);
  EXPECT_NEAR(seconds.at("unsaved"), 7, 1);
  EXPECT_NEAR(seconds.at("lost"), 0, 1);
  EXPECT_NEAR(seconds.at("crashed"), 0, 1);
  EXPECT_EQ(found.back().at("in_work"), 1);
}

}  // namespace
}  // namespace winnow::test
