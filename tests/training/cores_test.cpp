// A rank must not start more threads than it has cores: OpenMP's threads would spin for each other.
#include "experiments/run/cores.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <vector>

namespace winnow {
namespace {

TEST(Cores, AProcessAloneHasWhatItMayRunOn) {
  const auto self = make_self();
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
  const int cores = cores_of_rank(*self);
  EXPECT_GE(cores, 1);
  EXPECT_LE(cores, CPU_COUNT(&allowed));
}

TEST(Cores, ABoundRankHasOnlyItsCore) {
  cpu_set_t allowed, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
  CPU_ZERO(&one);
  for (unsigned cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu) {
    if (CPU_ISSET(cpu, &allowed)) CPU_SET(cpu, &one);
  }
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  const int cores = cores_of_rank(*make_self());
  ASSERT_EQ(sched_setaffinity(0, sizeof(allowed), &allowed), 0);
  EXPECT_EQ(cores, 1);
}

struct Shared {
  const char* what;
  int cores;
  std::size_t trials;
  int workers, threads;
  bool may_fork;
  CoreShares right;
};

TEST(Cores, BecomeTrialsAtATimeBeforeTheyBecomeThreads) {
  for (const Shared& s : std::vector<Shared>{{"one core", 1, 100, 0, 0, true, {1, 1, false}},
                                             {"a trial a core", 8, 100, 0, 0, true, {8, 1, false}},
                                             {"fewer trials than cores", 8, 3, 0, 0, true, {3, 2, false}},
                                             {"one trial leaves no core idle", 8, 1, 0, 0, true, {1, 8, false}},
                                             {"nothing to train", 8, 0, 0, 0, true, {1, 8, false}},
                                             {"threads asked for", 8, 100, 0, 4, true, {2, 4, false}},
                                             {"more threads than cores", 4, 100, 0, 6, true, {1, 6, false}},
                                             {"workers asked for", 8, 100, 2, 0, true, {2, 4, false}},
                                             {"both, and cores for reading ahead", 8, 100, 2, 3, true, {2, 3, true}},
                                             {"a rank of MPI", 8, 100, 0, 0, false, {1, 8, false}},
                                             {"a rank that may read ahead", 2, 100, 0, 1, false, {1, 1, true}}}) {
    const CoreShares shares = share_cores(s.cores, s.trials, s.workers, s.threads, s.may_fork);
    EXPECT_EQ(shares.workers, s.right.workers) << s.what;
    EXPECT_EQ(shares.threads, s.right.threads) << s.what;
    EXPECT_EQ(shares.read_ahead, s.right.read_ahead) << s.what;
  }
}

}  // namespace
}  // namespace winnow
