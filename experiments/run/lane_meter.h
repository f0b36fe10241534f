// How much the threads of a worker get done together, for the choice of their number. Work is counted in expected seconds, so
// that trials of any size may be compared. Any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace winnow {

class LaneMeter {
 public:
  // `step_costs`: by trial, the expected seconds of a step.
  explicit LaneMeter(std::span<const double> step_costs) : step_costs_(step_costs) {}

  void began() { ++training_; }  // a trial is set up and has begun to train
  void ended() { --training_; }
  void stepped(std::size_t at, std::int64_t steps) {
    done_.fetch_add(step_costs_[at] * static_cast<double>(steps), std::memory_order_relaxed);
  }

  int training() const { return training_; }
  double done() const { return done_; }

 private:
  std::span<const double> step_costs_;
  std::atomic<int> training_{0};
  std::atomic<double> done_{0};
};

}  // namespace winnow
