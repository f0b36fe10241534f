// The lanes of a process: threads that each draw trials and train them, beside each other on its GPU; or the process's only thread.
// Each has a stream, a program cache and a stop request of its own, and links to the rest of the run. Borrows all it is given.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "distributed/communicator.h"
#include "experiments/run/shared_board.h"
#include "experiments/run/trial_news.h"
#include "experiments/run/trial_runner.h"
#include "experiments/run/worker_lanes.h"

namespace winnow {

class TrialLanes {
 public:
  struct AtOnce {
    int most = 1;                // trials
    bool from_the_start = true;  // else more and more, as long as that pays
  };
  // `wanted`: trials for each process; 0: as many as make it faster. `trials`, of all `processes`: no more than its share each.
  static AtOnce at_once(int wanted, std::size_t trials, int processes);

  // Of one lane, which alone uses them.
  struct Links {
    std::unique_ptr<Tickets> tickets;
    std::unique_ptr<Notice> notice;
    std::unique_ptr<NewsDesk> news;
  };
  struct Job {
    const TrialRunner::Job& runner;
    std::span<const std::size_t> list;  // that the lanes draw from
    InWorkElsewhere how;
    std::span<SharedBoard::Entry> entries;  // one for each lane
    std::function<Links()> links;           // called by the lane
    // What a lane met that is no trial's fault: called by the lane, from within its handler. The others are to be told to stop.
    std::function<void(const std::exception&)> failed;
  };
  explicit TrialLanes(Job job) : job_(std::move(job)) {}

  // On this thread, one trial at a time.
  void run_one();
  // As many lanes as `at_once` says, while this thread looks: every few hundredths of a second and after each wake(). Returns
  // when all have ended. `step_costs`: by trial, the expected seconds of a step.
  void run(
      const AtOnce& at_once, std::span<const double> step_costs, const std::function<void()>& look = [] {});
  void wake() { threads_->wake(); }  // by a lane

 private:
  void train(int lane, GpuShare* share, LaneMeter* meter);

  Job job_;
  std::optional<WorkerLanes> threads_;
};

}  // namespace winnow
