// A sweep with what of it is done and what the rest will cost, and the two ways in which `winnow plan` shows it. A value that
// can be moved.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "experiments/cli/options.h"
#include "experiments/results/shard_plan.h"
#include "experiments/run/estimate.h"
#include "experiments/run/known_results.h"
#include "experiments/sweep/sweep.h"

namespace winnow {

struct PlannedConfiguration {
  TrialTable::Index first = 0;  // of its trials
  std::uint32_t replicates = 0, done = 0;
  TrialEstimate cost = {};      // without phases
  std::uint32_t phases = 0;     // in SweepPlan::phases
  std::uint32_t plan_line = 0;  // characters of its settings in a plan file
};

struct SweepPlan {
  Sweep sweep;
  SweepArguments arguments;
  std::vector<PlannedConfiguration> configurations;  // in the order of their first trials
  std::vector<std::uint32_t> configuration;          // of each setup of the sweep's trials
  std::vector<std::vector<Phase>> phases;            // each once
  KnownResults results;
  std::string run_arguments = {};  // of the `winnow run` that trains this plan
  struct Shards {
    int count = 0;
    std::string deal = {};  // its name
    bool dealt = false;     // a run did it, and all jobs go by that
    ShardPlan plan = {};
  };
  std::optional<Shards> shards = {};

  const PlannedConfiguration& of(std::size_t trial) const {
    return configurations[configuration[sweep.trials.setup(trial)]];
  }
  bool is_done(std::size_t trial) const { return results.of[trial] == KnownResults::State::Done; }
  // Seconds of one rank; 0: it is not going to be trained.
  double seconds_left(std::size_t trial) const;
  struct Totals {
    std::size_t done = 0;
    double seconds = 0, flops = 0, memory = 0;  // of what is still to train; memory: of the largest
  };
  Totals totals() const;
};

// Throws as load_sweep does. What keeps a result from counting is a note of the sweep.
SweepPlan make_plan(SweepArguments arguments);

// How it is dealt out to so many jobs (winnow run --shard), or would be if they started now.
void plan_shards(SweepPlan& plan, const Deal& deal);
void print_shards(std::ostream& out, const SweepPlan& plan, bool all);
struct PlannedShard {
  std::size_t trials = 0, done = 0;
  double seconds = 0;  // that are left, of one rank
};
std::vector<PlannedShard> parts_of(const SweepPlan& plan);

// What an output directory takes when all is done, for whoever has a quota: files and folders, and bytes. A survey comes on top.
struct SpaceNeeded {
  std::size_t files = 0;  // folders count, as they do for quotas
  double bytes = 0;
  double result_bytes = 0;  // of them
  // While it runs, at most, for each trial in work: heartbeat and checkpoints.
  std::size_t files_in_work = 0;
  double bytes_in_work = 0;
};
SpaceNeeded space_of(const SweepPlan& plan);
std::string space_text(const SweepPlan& plan);

// What its rule does (StopRule): the rungs, how many trials come to each, and what is left to train by what is on disk; nothing without a rule.
std::string stop_text(const SweepPlan& plan);

// `all`: every configuration. `events`: the steps at which methods act.
void print_text(std::ostream& out, const SweepPlan& plan, bool all, bool events);
void print_json(std::ostream& out, const SweepPlan& plan);

}  // namespace winnow
