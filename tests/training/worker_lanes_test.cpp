// How many trials a worker trains at once where nobody says: the rule, by rates that are made up, and threads that follow it.
#include "experiments/run/worker_lanes.h"

#include <gtest/gtest.h>

#include <cmath>

namespace winnow {
namespace {

// The number that the rule settles at, on a device that does `rate(n)` with n trials at once.
template <class Rate>
int settles_at(int most, const Rate& rate, int memory = 1000) {
  TrialCount count(most);
  for (int windows = 0; !count.settled(); ++windows) {
    if (windows == 100) return -1;
    count.measured(rate(count.count()), memory - count.count());
  }
  return count.count();
}

TEST(TrialCount, GrowsAsLongAsAllTogetherGetFaster) {
  EXPECT_EQ(settles_at(16, [](int) { return 100.0; }), 2) << "a full device: one window finds out";
  EXPECT_EQ(settles_at(16, [](int n) { return 100.0 * n; }), 16);
  EXPECT_EQ(settles_at(12, [](int n) { return 100.0 * n; }), 12);
  EXPECT_EQ(settles_at(16, [](int n) { return 100.0 * std::min(n, 4); }), 8) << "4 were faster than 2, 8 are not";
  EXPECT_EQ(settles_at(16, [](int n) { return 100.0 + n; }), 2) << "a hundredth is no gain";
  EXPECT_EQ(settles_at(1, [](int n) { return 100.0 * n; }), 1);
}

TEST(TrialCount, NeverHasMoreThanTheMemoryAllows) {
  EXPECT_EQ(settles_at(
                16, [](int n) { return 100.0 * n; }, 3),
            3);
  EXPECT_EQ(settles_at(
                16, [](int n) { return 100.0 * n; }, 1),
            1);
}

// Lanes that each work as fast as they can, together no faster than `most` of them.
int lanes_of(int most_useful, int most, bool all_at_once) {
  const std::vector<double> step_costs = {1.0};
  LaneMeter meter(step_costs);
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(2500);
  return WorkerLanes({.train =
                          [&](int) {
                            meter.began();
                            while (std::chrono::steady_clock::now() < end) {
                              const int each = std::max(1, meter.training() / most_useful);
                              meter.stepped(0, 1000 / (each * each));
                              std::this_thread::sleep_for(std::chrono::milliseconds(5));
                            }
                            meter.ended();
                          },
                      .most = most,
                      .all_at_once = all_at_once,
                      .meter = meter,
                      .room = [] { return 100; },
                      .window = std::chrono::milliseconds(200)})
      .run();
}

TEST(WorkerLanes, AreAsManyAsAskedForOrAsHelp) {
  EXPECT_EQ(lanes_of(8, 3, true), 3);
  const int found = lanes_of(1, 8, false);
  EXPECT_GE(found, 1);
  EXPECT_LE(found, 2) << "a second one gained nothing";
  EXPECT_GE(lanes_of(8, 4, false), 2);
}

}  // namespace
}  // namespace winnow
