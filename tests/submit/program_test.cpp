// Programs that winnow asks: all of what they said is there, or their end counts for nothing.
#include "experiments/submit/program.h"

#include <gtest/gtest.h>

namespace winnow::test {
namespace {

TEST(Program, ItsCodeAndAllItSaidComeBack) {
  const auto end = run_program({"sh", "-c", "echo out; echo err >&2; exit 3"}, std::chrono::seconds(60));
  ASSERT_TRUE(end);
  EXPECT_EQ(end->code, 3);
  EXPECT_EQ(end->out, "out\n");
  EXPECT_EQ(end->err, "err\n");
  EXPECT_FALSE(run_program({"no-such-program-anywhere"}, std::chrono::seconds(1)));
}

// This process stands still from before the program says anything until after the limit, as on a machine that is too busy.
TEST(Program, ThatHasEndedAndWasNotHeardToItsEndWithinTheLimitHasNoCode) {
  const auto end = run_program({"sh", "-c",
                                "p=$PPID; (sleep 1.5; kill -CONT $p) >/dev/null 2>&1 & "
                                "kill -STOP $p; head -c 30000 /dev/zero"},
                               std::chrono::seconds(1));
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->timed_out);
  EXPECT_FALSE(end->code) << "a list that may be cut short is no list";
}

TEST(Program, ThatLeavesAnotherOneWithItsOutputIsNotWaitedFor) {
  const auto begin = std::chrono::steady_clock::now();
  const auto end = run_program({"sh", "-c", "sleep 50 & echo done"}, std::chrono::seconds(40));
  ASSERT_TRUE(end);
  EXPECT_EQ(end->code, 0);
  EXPECT_EQ(end->out, "done\n");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

TEST(Program, ThatSaysMoreThanThereIsRoomForHasNoCode) {
  const auto end = run_program({"head", "-c", "70000000", "/dev/zero"}, std::chrono::seconds(120));
  ASSERT_TRUE(end);
  EXPECT_FALSE(end->timed_out);
  EXPECT_FALSE(end->code);
}

}  // namespace
}  // namespace winnow::test
