// Threads that share the memory of a device: who waits, who goes first, and who has failed. The device is a number here.
#include "experiments/run/gpu_share.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace winnow {
namespace {

class Room {
 public:
  explicit Room(int units) : free_(units) {}
  bool take(int units) {
    int now = free_;
    while (now >= units) {
      if (free_.compare_exchange_weak(now, now - units)) return true;
    }
    return false;
  }
  void give(int units) { free_ += units; }

 private:
  std::atomic<int> free_;
};

// A thread that trains trials of these sizes, and keeps the memory of each until the next one begins. How many found room.
int train_all(GpuShare& share, Room& room, const std::vector<int>& sizes) {
  int held = 0, trained = 0;
  const auto give_back = [&] { room.give(std::exchange(held, 0)); };
  GpuShare::Seat seat(share, {.give_back = give_back, .look = [] { return true; }});
  for (const int size : sizes) {
    seat.before_trial();
    give_back();
    bool fits = false;
    do {
      fits = room.take(size);
    } while (!fits && seat.wait_for_room());
    held = fits ? size : 0;
    trained += fits ? 1 : 0;
    if (fits) {
      seat.settled();
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    seat.settled();
  }
  return trained;
}

std::vector<int> side_by_side(int units, const std::vector<std::vector<int>>& sizes) {
  GpuShare share;
  Room room(units);
  std::vector<int> trained(sizes.size());
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      threads.emplace_back([&, i] { trained[i] = train_all(share, room, sizes[i]); });
    }
  }
  EXPECT_TRUE(room.take(units)) << "somebody kept what it held";
  return trained;
}

TEST(GpuShare, WhatFitsAloneIsTrainedHoweverManyThreadsThereAre) {
  const std::vector<int> half(12, 6), whole(12, 10), small(12, 1);
  EXPECT_EQ(side_by_side(10, {half, whole, small, whole, half}), (std::vector<int>{12, 12, 12, 12, 12}));
  EXPECT_EQ(side_by_side(10, {small, small, small}), (std::vector<int>{12, 12, 12}));
}

TEST(GpuShare, WhatDoesNotFitAloneFailsAndTheOthersGoOn) {
  EXPECT_EQ(side_by_side(10, {{6, 11, 6}, {3, 3, 12, 3}, {11}}), (std::vector<int>{2, 3, 0}));
  EXPECT_EQ(side_by_side(10, {{11}}), std::vector<int>{0});
}

TEST(GpuShare, AWordToStopEndsTheWait) {
  GpuShare share;
  std::atomic<bool> stop = false;
  GpuShare::Seat other(share, {.give_back = [] {}, .look = [] { return true; }});
  other.before_trial();
  std::jthread waits([&] {
    GpuShare::Seat seat(share, {.give_back = [] {}, .look = [&] { return !stop; }});
    seat.before_trial();
    while (seat.wait_for_room()) {  // its own memory may have been what it lacked, once
    }
    EXPECT_TRUE(stop);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  stop = true;
}

}  // namespace
}  // namespace winnow
