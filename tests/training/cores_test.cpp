// A rank must not start more threads than it has cores: OpenMP's threads would spin for each other.
#include "experiments/run/cores.h"

#include <gtest/gtest.h>
#include <sched.h>

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

}  // namespace
}  // namespace winnow
