// The threads of a process that train trials beside each other on one GPU. As many as were asked for, or more and more as long as
// that pays (TrialCount). Used by a thread that trains nothing itself meanwhile; wake() by any.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "experiments/run/lane_meter.h"
#include "experiments/run/trial_count.h"

namespace winnow {

class WorkerLanes {
 public:
  struct Job {
    std::function<void(int lane)> train;  // on the lane's thread, until there is nothing left to do; throws nothing
    int most;                             // lanes
    bool all_at_once;                     // from the start; else more and more
    LaneMeter& meter;                     // of what train() does
    std::function<int()> room;            // for how many more trials the GPU has memory
    std::function<void()> look = [] {
    };  // what the thread that called run() has to look after: often, and after each wake()
    std::chrono::milliseconds window = std::chrono::seconds(5);  // in which a number of lanes is measured
  };
  explicit WorkerLanes(Job job) : job_(std::move(job)), count_(job_.most) {}

  // Returns when all lanes have ended; the number of them.
  int run();
  void wake();

 private:
  using Clock = std::chrono::steady_clock;
  void start(int lanes);
  void grow();

  Job job_;
  TrialCount count_;
  std::vector<std::thread> threads_;
  bool no_more_ = false;  // the system gives no further thread
  std::mutex mutex_;
  std::condition_variable changed_;
  int ended_ = 0;
  bool woken_ = false;
  // The window: when it began, and with how much done.
  bool measuring_ = false;
  Clock::time_point since_ = {};
  double done_before_ = 0;
};

}  // namespace winnow
