// The rounds of a sweep under a rule that stops trials early: in each, groups train what is due, and whatever that lets past a rung. Every
// rank has one, and calls run() with the others; the rest is for rank 0. Borrows all it is given.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "distributed/communicator.h"
#include "experiments/results/files.h"
#include "experiments/run/console.h"
#include "experiments/run/run_sweep.h"
#include "experiments/run/rung_decision.h"
#include "experiments/run/sweep_state.h"
#include "experiments/stop_rule.h"
#include "experiments/trial_table.h"

namespace winnow {

class RuleRounds {
 public:
  struct Job {
    Communicator& world;
    Files& files;
    Console& console;
    const RunOptions& options;
    const TrialTable& trials;
    const StopRule& rule;
    std::function<void(const RungDecision&)> decided;  // on rank 0: of a trial of this run
  };
  explicit RuleRounds(const Job& job) : job_(job) {}

  // Error{Usage} where this run has not all that compete.
  void check_shard() const;
  // Of what is left, the rule lets some stay where they are: these become Found::Stopped, or Found::Waits.
  void leave_out_stopped(std::span<Found> found) const;
  // Trains these trials, and those that they let past a rung. False, on all ranks: asked to stop.
  using Round = std::function<bool(const std::vector<std::size_t>& due)>;
  // `found`: of each trial, before this run trained any. False, on all ranks: asked to stop.
  bool run(std::span<const Found> found, const Round& round) const;
  std::size_t stopped() const;  // trials that stay at a rung now
  void say_stopped() const;

 private:
  std::vector<std::size_t> due(std::span<const Found> found, bool first) const;

  Job job_;
};

}  // namespace winnow
