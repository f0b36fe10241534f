// Runs the trials of a sweep on all ranks of the job: groups of ranks draw trials, longest first,
// until none is left. Finished trials are skipped; a trial that fails is recorded and does not stop the others.
#pragma once

#include <filesystem>
#include <string>

#include "experiments/sweep/sweep.h"

namespace winnow {

struct RunOptions {
  std::filesystem::path out;
  int threads = 0;           // of one rank; 0: its share of the cores it is bound to
  bool retry_failed = true;  // trials with a failure record are tried again
  bool strict = false;       // exit code 3 if some trials failed or diverged
  bool quiet = false;
  std::string command_line;
};

// The exit code: 0 done, 3 done with failures under `strict`; throws Error for everything that
// keeps trials from running.
int run_sweep(const Sweep& sweep, const RunOptions& options);

}  // namespace winnow
