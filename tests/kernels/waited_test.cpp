// A process that did not run has not waited.
#include "kernels/waited.h"

#include <gtest/gtest.h>

#include <thread>

namespace winnow {
namespace {

TEST(Waited, CountsFromTheFirstLook) {
  Waited waited;
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_EQ(waited.look(), 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_GE(waited.look(), 0.03);
}

TEST(Waited, IsASecondAtMostBetweenTwoLooks) {
  Waited waited;
  waited.look();
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));  // suspended
  EXPECT_EQ(waited.look(), 1);
}

}  // namespace
}  // namespace winnow
