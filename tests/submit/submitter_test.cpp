// Arrays of shards on their way to Slurm, killed at every operation on files: once all is settled, every shard is there once.
#include "experiments/submit/submitter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>

#include "core/error.h"
#include "experiments/results/shard_plan.h"
#include "tests/results/faulty_files.h"
#include "tests/submit/five_shards.h"
#include "tests/temporary_folder.h"

namespace winnow::test {
namespace {

TEST(Submitter, KilledAtAnyOperationNoShardIsLostAndNoneIsThereTwice) {
  int operations = 0;
  {
    FakeSlurm fake;
    TemporaryFolder out;
    FaultyFiles counting;
    Slurm slurm;
    ASSERT_EQ(submit_missing(counting, out.path(), slurm, kNow).size(), 2u);
    operations = counting.operations();
  }
  ASSERT_GT(operations, 20);
  int uncertain = 0;
  for (const Fault fault : {Fault::NoSpace, Fault::InputOutput, Fault::DieBefore, Fault::DieHalfWay}) {
    for (int at = 0; at < operations; ++at) {
      SCOPED_TRACE(fmt::format("fault {} at {}", static_cast<int>(fault), at));
      FakeSlurm fake;
      TemporaryFolder out;
      Slurm slurm;
      FaultyFiles files(fault, at);
      try {
        submit_missing(files, out.path(), slurm, kNow);
      } catch (const Death&) {
      } catch (const Error&) {
      }
      // The user submits again at once, and is refused where something is uncertain.
      PosixFiles whole;
      const std::size_t before = fake.lines("jobs").size();
      try {
        submit_missing(whole, out.path(), slurm, kNow + 1);
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::Unavailable) << error.what();
        EXPECT_EQ(fake.lines("jobs").size(), before);
        ++uncertain;
        // While an answer may be on its way nothing but what is found is settled.
        settle_jobs(whole, out.path(), slurm, 0, kNow + 2);
        settle_jobs(whole, out.path(), slurm, 0, kNow + kArrival);
        submit_missing(whole, out.path(), slurm, kNow + kArrival + 1);
      }
      EXPECT_EQ(shards_in_queue(fake, out.path()), (std::vector{0, 1, 2, 3, 4}));
    }
  }
  EXPECT_GT(uncertain, 20);
}

TEST(Submitter, OfTwoThatSubmitAtTheSameTimeOneIsRefused) {
  FakeSlurm fake;
  TemporaryFolder out;
  PosixFiles files;
  Slurm slurm;
  const KnownJobs before = look_at_jobs(files, out.path(), slurm, 0);
  ASSERT_EQ(submit_missing(files, out.path(), slurm, kNow).size(), 2u);
  Site site;
  SubmitRequest request{.out = out.path(),
                        .sweep = "s",
                        .plan = "p",
                        .deal = "d",
                        .shards = kShards,
                        .arrays = {{0, {0, 1}}},
                        .site = site,
                        .launch = "",
                        .command = "winnow run"};
  // This one looked before the other had submitted anything.
  EXPECT_THROW(Submitter(files, slurm, [] { return kNow; }).submit(request, before), Error);
  EXPECT_EQ(shards_in_queue(fake, out.path()).size(), 5u);
}

TEST(Submitter, WhoStoodStillBeforeSbatchSubmitsNothing) {
  FakeSlurm fake;
  TemporaryFolder out;
  PosixFiles files;
  Slurm slurm;
  Site site;
  SubmitRequest request{.out = out.path(),
                        .sweep = "s",
                        .plan = "p",
                        .deal = "d",
                        .shards = 1,
                        .arrays = {{0, {0}}},
                        .site = site,
                        .launch = "",
                        .command = "winnow run"};
  std::int64_t now = kNow;
  // As if it had been halted between the intent and sbatch, for so long that others have given it up.
  const auto all = Submitter(files, slurm, [&now] { return std::exchange(now, now + kArrival); }).submit(request, {});
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].state, Submission::State::Uncertain);
  EXPECT_TRUE(fake.lines("jobs").empty());
}

TEST(Submitter, AnSbatchThatDoesNotEndIsKilledAndItsJobIsFound) {
  FakeSlurm fake;
  fake.set("answer", "slow");
  TemporaryFolder out;
  PosixFiles files;
  Slurm slurm({.submit = std::chrono::milliseconds(1500), .ask = std::chrono::seconds(20)});
  const auto all = submit_missing(files, out.path(), slurm, kNow);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].state, Submission::State::Submitted);
  EXPECT_EQ(all[0].job, 101);
}

TEST(KnownJobs, ARecordOfAnotherMachinesClockWaitsAsLongAsItsOwn) {
  FakeSlurm fake;
  fake.set("answer", "never");
  TemporaryFolder out;
  PosixFiles files;
  Slurm slurm;
  ASSERT_EQ(submit_missing(files, out.path(), slurm, kNow).back().state, Submission::State::Uncertain);
  for (const std::int64_t now : {kNow - 5, kNow + kArrival - 1}) {
    EXPECT_EQ(settle_jobs(files, out.path(), slurm, 0, now).jobs[0].submission.state, Submission::State::Uncertain);
  }
  EXPECT_EQ(settle_jobs(files, out.path(), slurm, 0, kNow + kArrival).jobs[0].submission.state,
            Submission::State::Absent);
}

TEST(KnownJobs, AnUncertainShardOfAnotherUserIsFoundAmongHisJobsAndNotGivenUp) {
  FakeSlurm fake;
  TemporaryFolder out;
  PosixFiles files;
  Slurm slurm;
  const std::int64_t other = this_user().id + 1000;
  ASSERT_TRUE(write_intent(files, out.path(), submitted_by(other, Submission::State::Uncertain, 0)));
  fake.set("jobs", "207|0|PENDING|s-of-another\n207|1|RUNNING|s-of-another\n");
  fake.set("owner.207", std::to_string(other));
  const KnownJobs known = settle_jobs(files, out.path(), slurm, 0, kNow + 10 * kArrival);
  EXPECT_EQ(known.jobs.at(0).submission.state, Submission::State::Submitted);
  EXPECT_EQ(known.jobs.at(0).submission.job, 207);
  EXPECT_EQ(known.active, 0) << "of this user";
}

TEST(KnownJobs, WhatThisUserMayNotSeeIsNotJudgedAbsent) {
  FakeSlurm fake;
  fake.set("private", "");
  TemporaryFolder out;
  PosixFiles files;
  Slurm slurm;
  for (const std::int64_t user : {this_user().id + 1000, std::int64_t{-1}}) {
    TemporaryFolder place;
    ASSERT_TRUE(write_intent(files, place.path(), submitted_by(user, Submission::State::Uncertain, 0)));
    const KnownJobs known = settle_jobs(files, place.path(), slurm, 0, kNow + 10 * kArrival);
    EXPECT_EQ(known.jobs.at(0).submission.state, Submission::State::Uncertain) << user;
  }
}

TEST(KnownJobs, ClocksThatDifferMakeNoJobAbsentThatIsStillOnItsWay) {
  FakeSlurm fake;
  fake.set("answer", "never");
  TemporaryFolder out;
  PosixFiles files;
  Slurm slurm;
  ASSERT_EQ(submit_missing(files, out.path(), slurm, kNow).back().state, Submission::State::Uncertain);
  // Started 60 s after the intent, killed 120 s later, and taken by Slurm with the last of the 300 s that its credential
  // lives; who asks just before that has a clock that is 299 s ahead of Slurm's.
  const std::int64_t early = kNow + 60 + 120 + 300 - 1 + 299;
  EXPECT_EQ(settle_jobs(files, out.path(), slurm, 0, early).jobs[0].submission.state, Submission::State::Uncertain);
  const KnownJobs behind = settle_jobs(files, out.path(), slurm, 0, kNow - 3600);
  EXPECT_EQ(behind.jobs[0].submission.state, Submission::State::Uncertain);
  EXPECT_NE(behind.jobs[0].submission.reason.find("3600 s ahead"), std::string::npos)
      << behind.jobs[0].submission.reason;
}

TEST(Submissions, AreInTheOrderOfTheirNumbersBeyondFourDigits) {
  TemporaryFolder out;
  PosixFiles files;
  for (const int number : {9999, 10000, 2, 10001}) {
    Submission one = submitted_by(0, Submission::State::Uncertain, 0);
    one.number = number;
    ASSERT_TRUE(write_intent(files, out.path(), one));
  }
  std::vector<int> numbers;
  for (const Submission& one : read_submissions(files, out.path())) numbers.push_back(one.number);
  EXPECT_EQ(numbers, (std::vector{2, 9999, 10000, 10001}));
  // The next one is the next of the last, and not of a number that has one already.
  FakeSlurm fake;
  Slurm slurm;
  Site site;
  KnownJobs before;
  for (Submission& one : read_submissions(files, out.path())) {
    one.state = Submission::State::Absent;
    before.jobs.push_back({.submission = one, .tasks = {}});
  }
  const SubmitRequest request{.out = out.path(),
                              .sweep = "s",
                              .plan = "p",
                              .deal = "d",
                              .shards = 1,
                              .arrays = {{0, {0}}},
                              .site = site,
                              .launch = "",
                              .command = "winnow run"};
  EXPECT_EQ(Submitter(files, slurm, [] { return kNow; }).submit(request, before).at(0).number, 10002);
}

// What stands in a folder may be another user's, and goes into scripts and names of files.
TEST(Submissions, OfStrangersGoIntoNoScriptUnlessTheyAreNamesAndNumbers) {
  using Change = std::function<void(Submission&)>;
  const auto read_with = [](const Change& change) {
    TemporaryFolder out;
    PosixFiles files;
    Submission one = submitted_by(0, Submission::State::Uncertain, 0);
    change(one);
    EXPECT_TRUE(write_intent(files, out.path(), one));
    return read_submissions(files, out.path());
  };
  EXPECT_EQ(read_with([](Submission&) {}).size(), 1u);
  EXPECT_EQ(read_with([](Submission& one) { one.deal = std::string(64, 'd'); }).size(), 1u);
  EXPECT_EQ(read_with([](Submission& one) { one.shards = kMostShards; }).size(), 1u);
  const auto refused = [&](const Change& change) {
    try {
      read_with(change);
    } catch (const Error& error) {
      return error.kind() == ErrorKind::Input &&
             std::string_view(error.what()).ends_with("is damaged, or its answer is");
    }
    return false;
  };
  for (const std::string& deal : std::vector<std::string>{"", "x; touch /tmp/x; echo", "../../x", "$(id)", "a b", "d\n",
                                                          ".", std::string(65, 'd')}) {
    EXPECT_TRUE(refused([&](Submission& one) { one.deal = deal; })) << deal;
  }
  for (const std::string& name : std::vector<std::string>{"", "-p", "--all", "a|b", "a b", "$(id)", "a\nb", "a/b"}) {
    EXPECT_TRUE(refused([&](Submission& one) { one.job_name = name; })) << name;
  }
  for (const int shards : {0, -1, kMostShards + 1, std::numeric_limits<int>::max(), std::numeric_limits<int>::min()}) {
    EXPECT_TRUE(refused([&](Submission& one) { one.shards = shards; })) << shards;
  }
  for (const int offset : {-1, kShards, std::numeric_limits<int>::max(), std::numeric_limits<int>::min()}) {
    EXPECT_TRUE(refused([&](Submission& one) { one.offset = offset; })) << offset;
  }
  EXPECT_TRUE(refused([](Submission& one) { one.indices = {kShards}; }));
  EXPECT_TRUE(refused([](Submission& one) { one.indices = {}; }));
}

TEST(KnownJobs, SlurmIsAskedNoMoreOftenThanASiteWants) {
  FakeSlurm fake;
  TemporaryFolder out;
  PosixFiles files;
  Slurm slurm;
  submit_missing(files, out.path(), slurm, kNow);
  look_at_jobs(files, out.path(), slurm, 1);
  const auto began = std::chrono::steady_clock::now();
  look_at_jobs(files, out.path(), slurm, 1);
  EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(500));
}

TEST(IndexLists, AreReadAsTheyAreWritten) {
  for (const std::vector<int>& indices : {std::vector{0}, {0, 1, 2}, {3, 7, 8, 9, 20}, {1000}}) {
    EXPECT_EQ(read_index_list(index_list(indices)), indices);
  }
  EXPECT_EQ(index_list(std::vector{3, 7, 8, 9, 20}), "3,7-9,20");
  for (const char* wrong : {"", ",", "1,", "2-1", "1,1", "-1", "1-", "a", "1 2", "0-99999999", "5,3"}) {
    EXPECT_TRUE(read_index_list(wrong).empty()) << wrong;
  }
}

TEST(IndexLists, ArraysKeepToTheSizeAndTheTasksThatAreAllowed) {
  const std::vector<int> shards = {0, 1, 2, 5, 6, 11, 12, 13, 100};
  for (const std::int64_t size : {1, 2, 5, 1000}) {
    for (const std::int64_t tasks : {1, 2, 1000}) {
      std::vector<int> all;
      for (const ShardArray& array : split_shards(shards, size, tasks)) {
        EXPECT_LE(static_cast<std::int64_t>(array.indices.size()), tasks);
        EXPECT_LT(array.indices.back(), size);
        for (const int index : array.indices) all.push_back(array.offset + index);
      }
      EXPECT_EQ(all, shards) << size << " " << tasks;
    }
  }
  EXPECT_EQ(split_shards(shards, 1000, 1000).size(), 1u);
  EXPECT_EQ(split_shards(std::vector{7, 9}, 1000, 1000)[0].offset, 0) << "an index is the shard where it can be";
}

}  // namespace
}  // namespace winnow::test
