// A sweep with what of it is done and what the rest will cost, and the two ways in which `winnow plan` shows it. A value that
// can be moved.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <set>
#include <string>
#include <vector>

#include "experiments/cli/options.h"
#include "experiments/run/estimate.h"
#include "experiments/sweep/sweep.h"

namespace winnow {

struct PlannedConfiguration {
  TrialTable::Index first = 0;  // of its trials
  std::uint32_t replicates = 0, done = 0;
  TrialEstimate cost = {};   // without phases
  std::uint32_t phases = 0;  // in SweepPlan::phases
};

struct SweepPlan {
  Sweep sweep;
  SweepArguments arguments;
  std::vector<PlannedConfiguration> configurations;  // in the order of their first trials
  std::vector<std::uint32_t> configuration;          // of each setup of the sweep's trials
  std::vector<std::vector<Phase>> phases;            // each once
  MeasuredTimes measured;                            // from the results that are there
  std::set<std::string, std::less<>> done;           // names of trials
  std::string run_arguments = {};                    // of the `winnow run` that trains this plan

  const PlannedConfiguration& of(std::size_t trial) const {
    return configurations[configuration[sweep.trials.setup(trial)]];
  }
  struct Totals {
    std::size_t done = 0;
    double seconds = 0, flops = 0, memory = 0;  // of what is still to train; memory: of the largest
  };
  Totals totals() const;
};

// Throws as load_sweep does. What keeps a result from counting is a note of the sweep.
SweepPlan make_plan(SweepArguments arguments);

// `all`: every configuration. `events`: the steps at which methods act.
void print_text(std::ostream& out, const SweepPlan& plan, bool all, bool events);
void print_json(std::ostream& out, const SweepPlan& plan);

}  // namespace winnow
