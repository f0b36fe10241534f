// Runs the trials of a sweep, which rank 0 plans: groups of ranks of an MPI job, or without MPI worker processes of this run's own, draw trials,
// longest first, until none is left. Finished trials are skipped; a trial that fails, or the process of one worker with it,
// is recorded and does not stop the others.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "distributed/communicator.h"
#include "experiments/results/files.h"
#include "experiments/sweep/sweep.h"

namespace winnow {

struct RunOptions {
  std::filesystem::path out;
  int threads = 0;  // of one trial on one rank; 0: its share of the cores it may use
  int workers = 0;  // processes that train at the same time, without MPI; 0: one for each core
  int trials_per_device =
      0;  // of one rank each, that a process trains at once on its GPU; 0: as many as make it faster
  struct Shard {
    int number, of;         // 0 to of - 1
    std::string deal = {};  // the name of the deal that it is of
  };
  std::optional<Shard> shard = {};  // only this part of the trials
  bool retry_failed = true;         // trials with a failure record are tried again
  bool strict = false;              // exit code 3 if some trials failed or diverged
  bool quiet = false;
  std::string command_line;
  // Called on rank 0 with each record of the journal, and last, unless an error ends the run, with a summary
  // (docs/formats.md). Nothing: nobody listens.
  std::function<void(const nlohmann::ordered_json&)> listener = {};
};

// The exit code: 0 done, 3 done with failures under `strict`, 75 stopped on request. What keeps trials from running is thrown
// on rank 0 and is the exit code of the others, so that it is said once. Where one rank fails and the others may be
// waiting for it, it says why, and the job ends. Each rank calls `read`, which may be collective and throws AgreedError
// where it fails on any; nothing: there is nothing to run.
struct SweepJob {
  std::filesystem::path sweep;
  ExpandOptions expand;
  RunOptions options;
};
int run_sweep(Communicator& world, Files& files, const std::function<std::optional<SweepJob>()>& read);
// The same of a sweep that every rank has.
int run_sweep(Communicator& world, Files& files, const Sweep& sweep, const RunOptions& options);

}  // namespace winnow
