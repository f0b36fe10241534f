// What became of submissions is written down, killed at every operation on files: `winnow reconcile` and `winnow cancel`.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/results/faulty_files.h"
#include "tests/submit/five_shards.h"
#include "tests/temporary_folder.h"

namespace winnow::test {
namespace {

constexpr std::int64_t kLater = kNow + kArrival;
constexpr int kJob = 101;

// Of five shards two are in the queue and two never came; of neither there is an answer.
void leave_uncertain(const FakeSlurm& fake, const std::filesystem::path& out) {
  PosixFiles files;
  for (const int number : {1, 2}) {
    Submission one = submitted_by(this_user().id, Submission::State::Uncertain, 0);
    one.number = number;
    one.job_name = fmt::format("s-{}", number);
    one.shards = kShards;
    one.offset = 2 * (number - 1);
    ASSERT_TRUE(write_intent(files, out, one));
  }
  fake.set("jobs", fmt::format("{0}|0|PENDING|s-1\n{0}|1|RUNNING|s-1\n", kJob));
  fake.set("last", fmt::format("{}\n", kJob));
}

void expect_settled(const std::vector<Submission>& all) {
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].state, Submission::State::Submitted);
  EXPECT_EQ(all[0].job, kJob);
  EXPECT_EQ(all[1].state, Submission::State::Absent);
}

TEST(KnownJobs, SettledWithAFaultAtAnyOperationEveryRecordIsReadAndNoShardIsThereTwice) {
  constexpr std::int64_t kAskEvery = 1;  // s: that Slurm was asked is written down, too
  Slurm slurm;
  int operations = 0;
  {
    const FakeSlurm fake;
    const TemporaryFolder out;
    leave_uncertain(fake, out.path());
    FaultyFiles counting;
    settle_jobs(counting, out.path(), slurm, kAskEvery, kLater);
    operations = counting.operations();
  }
  ASSERT_GT(operations, 15);
  int unsettled = 0;
  for (const Fault fault : {Fault::NoSpace, Fault::InputOutput, Fault::DieBefore, Fault::DieHalfWay}) {
    for (int at = 0; at < operations; ++at) {
      SCOPED_TRACE(fmt::format("fault {} at {}", static_cast<int>(fault), at));
      const FakeSlurm fake;
      const TemporaryFolder out;
      leave_uncertain(fake, out.path());
      FaultyFiles files(fault, at);
      try {
        settle_jobs(files, out.path(), slurm, kAskEvery, kLater);
      } catch (const Death&) {
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::Io) << error.what();
      }
      PosixFiles whole;
      for (const Submission& one : read_submissions(whole, out.path())) {
        const bool came = one.number == 1;
        if (one.state == Submission::State::Uncertain) {
          ++unsettled;
        } else {
          EXPECT_EQ(one.state, came ? Submission::State::Submitted : Submission::State::Absent);
        }
      }
      EXPECT_EQ(settle_jobs(whole, out.path(), slurm, 0, kLater).uncertain(), 0);
      expect_settled(read_submissions(whole, out.path()));
      submit_missing(whole, out.path(), slurm, kLater + 1);
      EXPECT_EQ(shards_in_queue(fake, out.path()), (std::vector{0, 1, 2, 3, 4}));
    }
  }
  EXPECT_GT(unsettled, operations);
}

}  // namespace
}  // namespace winnow::test
