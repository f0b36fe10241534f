// What became of the time that trials took, and which runs are at work, as journals made by hand say it.
#include "experiments/results/run_account.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.h"
#include "distributed/host_name.h"
#include "experiments/cli/verbs.h"
#include "experiments/results/journal.h"
#include "experiments/results/layout.h"
#include "experiments/results/progress_file.h"
#include "experiments/submit/submission.h"
#include "tests/results/sample_sweep.h"
#include "tests/temporary_folder.h"

namespace winnow::test {
namespace {

class Account : public testing::Test {
 protected:
  // Of a run with two trials in work, 10 s of each of which nothing has kept, and three seconds more.
  int last_words(const std::string& part, const char* kind, double time,
                 const nlohmann::ordered_json& more = nlohmann::ordered_json::object()) {
    JournalWriter writer(files_, out(), part);
    nlohmann::ordered_json record = {
        {"kind", kind},
        {"time", time},
        {"in_work", 2},
        {"seconds", {{"useful", 100.0}, {"unsaved", 10.0}, {"lost", 1.0}, {"failed", 5.0}, {"crashed", 2.0}}}};
    record.update(more);
    writer.append(record);
    writer.append({{"kind", "start"}, {"time", time + 3}});
    return writer.attempt();
  }
  const std::filesystem::path& out() const { return out_.path(); }
  TimeSpent spent(std::int64_t now) { return account_of_runs(files_, out(), now).spent; }
  std::string status(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> args{"status", out().string()};
    args.insert(args.end(), more.begin(), more.end());
    std::ostringstream text, errors;
    EXPECT_EQ(run_command_line(args, text, errors), 0) << errors.str();
    return text.str();
  }

  TemporaryFolder out_;
  PosixFiles files_;
};

TEST_F(Account, WhatALivingRunHasNotSavedIsNotLostYetAndOfADeadOneItIs) {
  last_words("run", "beat", 970);
  const TimeSpent alive = spent(1000);
  EXPECT_EQ(alive.useful, 100);
  EXPECT_EQ(alive.unsaved, 16) << "two went on for three seconds";
  EXPECT_EQ(alive.preempted, 1);
  EXPECT_EQ(alive.failed, 7) << "of trials that failed, and of processes that crashed";
  const TimeSpent dead = spent(1100);
  EXPECT_EQ(dead.unsaved, 0);
  EXPECT_EQ(dead.preempted, 17) << "killed from outside: it left no mark";
  EXPECT_EQ(dead.failed, 7);
}

TEST_F(Account, ARunWhoseProcessIsGoneFromThisMachineIsNotAtWork) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  last_words("s0001", "beat", 970, {{"host", host_name()}, {"process", child}});
  last_words("s0002", "beat", 970, {{"host", "another"}, {"process", child}});
  last_words("s0003", "beat", 970, {{"host", host_name()}, {"process", ::getpid()}});
  const RunAccount account = account_of_runs(files_, out(), 975);
  ASSERT_EQ(account.live.size(), 2u);
  EXPECT_EQ(account.live[0].part, "s0002");
  EXPECT_EQ(account.live[1].part, "s0003");
  EXPECT_EQ(account.spent.preempted, 1 + 1 + 17) << "somebody killed it";
}

TEST_F(Account, WhoStoppedARunIsWhatItLostItsTimeTo) {
  last_words("run", "over", 970, {{"code", 75}});
  EXPECT_EQ(spent(1000).preempted, 17) << "stopped on request";
  last_words("run", "over", 970, {{"code", 74}});
  EXPECT_EQ(spent(1000).preempted, 18);
  EXPECT_EQ(spent(1000).failed, 7 + 23) << "ended by an error";
  const int attempt = last_words("s0003", "beat", 970);
  EXPECT_EQ(spent(1100).preempted, 18 + 17);
  const auto mark = crash_mark(out(), "s0003", attempt);
  EXPECT_EQ(mark.filename(), "s0003.a0001.crash");
  files_.replace(mark, "");
  EXPECT_EQ(spent(1100).preempted, 18 + 1);
  EXPECT_EQ(spent(1100).failed, 7 + 23 + 23) << "its process crashed";
  EXPECT_EQ(spent(1000).unsaved, 0) << "which needs no waiting for its silence";
  EXPECT_EQ(spent(1100).all(), 3 * 124);
}

TEST_F(Account, JournalsOfOtherVersionsCountForNothingOrAsTheyCan) {
  JournalWriter(files_, out(), "run").append({{"kind", "beat"}, {"seconds", "many"}});
  EXPECT_EQ(spent(1000).all(), 0);
  JournalWriter(files_, out(), "run")
      .append({{"kind", "over"},
               {"time", 990},
               {"in_work", 0},
               {"seconds", {{"useful", 1.0}, {"unsaved", 2.0}, {"lost", 0.0}, {"failed", 0.0}}}});
  EXPECT_EQ(spent(1000).preempted, 2) << "without a code";
  last_words("s0001", "beat", 970, {{"host", 7}});
  EXPECT_EQ(spent(1000).all(), 3) << "all of a record or nothing";
}

TEST_F(Account, ARunAtWorkHasItsSpeedAndTheTimeItNeeds) {
  last_words("s0007", "beat", 900,
             {{"trials", 10}, {"done", 2.5}, {"began", 400.0}, {"host", "n1"}, {"images_per_second", 1200.0}});
  last_words("s0008", "over", 900, {{"trials", 10}, {"done", 10.0}, {"began", 400.0}, {"code", 0}});
  const auto live = account_of_runs(files_, out(), 950).live;
  ASSERT_EQ(live.size(), 1u);
  EXPECT_EQ(live[0].part, "s0007");
  EXPECT_EQ(live[0].attempt, 1);
  EXPECT_EQ(live[0].host, "n1");
  EXPECT_NEAR(*live[0].trials_per_hour(), 2.5 * 3600 / 503, 1e-9);
  EXPECT_NEAR(*live[0].seconds_left(), 7.5 * 503 / 2.5, 1e-9);
  EXPECT_TRUE(account_of_runs(files_, out(), 1000).live.empty()) << "silent for too long";
  last_words("s0009", "beat", 900, {{"trials", 10}, {"done", 0.0}, {"began", 900.0}});
  EXPECT_FALSE(account_of_runs(files_, out(), 950).live.at(1).seconds_left()) << "it has hardly begun";
}

TEST_F(Account, TheScreenAndTheJsonHaveTheSharesAndTheRuns) {
  write_sample_sweep(files_, out());
  const auto now = static_cast<double>(unix_now());
  last_words("run", "over", now - 500, {{"code", 75}});
  last_words("s0002", "beat", now - 5,
             {{"trials", 10}, {"done", 2.5}, {"began", now - 105}, {"host", "n1"}, {"images_per_second", 1200.0}});
  const std::string screen = status();
  EXPECT_NE(screen.find(
                "useful 80.6 %   lost to preemption 7.3 %   to failures 5.6 %   not saved yet 6.5 %   of 4 min 08 s\n"),
            std::string::npos)
      << screen;
  EXPECT_NE(screen.find("\ns0002.a1  2.5/10        2        87      1200  5 min 09 s  n1\n"), std::string::npos)
      << screen;
  const auto json = nlohmann::json::parse(status({"--json"}));
  double all = 0;
  for (const auto& [name, share] : json.at("shares").items()) all += share.get<double>();
  EXPECT_NEAR(all, 1, 1e-12);
  EXPECT_NEAR(json.at("shares").at("lost_to_preemption").get<double>(), 18.0 / 248, 1e-12);
  EXPECT_NEAR(json.at("shares").at("lost_to_failures").get<double>(), 14.0 / 248, 1e-12);
  ASSERT_EQ(json.at("runs").size(), 1u);
  EXPECT_EQ(json.at("runs").at(0).at("part"), "s0002");
  EXPECT_EQ(json.at("submissions").size(), 0u);
}

TEST_F(Account, StatusSaysWhichSubmissionsAreUncertainAndWhatSettlesThem) {
  write_sample_sweep(files_, out());
  Submission one;
  one.number = 1;
  one.job_name = "s-1";
  one.deal = "d";
  one.shards = 3;
  one.indices = {0, 1, 2};
  ASSERT_TRUE(write_intent(files_, out(), one));
  EXPECT_NE(
      status().find("Slurm  1 submission uncertain, shards 0-2: winnow reconcile " + out().string() + " settles it\n"),
      std::string::npos)
      << status();
  EXPECT_EQ(nlohmann::json::parse(status({"--json"})).at("submissions").at(0).at("state"), "uncertain");
  one.state = Submission::State::Submitted;
  one.job = 4711;
  write_answer(files_, out(), one);
  EXPECT_NE(status().find("Slurm  1 job submitted, the last one 4711: winnow reconcile "), std::string::npos)
      << status();
  files_.replace(Layout(out()).submissions() / "0002.intent.json", "{}");
  EXPECT_NE(status().find("Slurm  what was submitted is not known: "), std::string::npos) << status();
  EXPECT_TRUE(nlohmann::json::parse(status({"--json"})).at("submissions").is_null());
}

}  // namespace
}  // namespace winnow::test
