// The state of an output directory, worked out from its files alone: nothing is stored twice, so
// nothing can disagree, and looking changes nothing. Plain values.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "experiments/results/failure_file.h"
#include "experiments/results/plan_file.h"
#include "experiments/results/progress_file.h"

namespace winnow {

// Names of all published trials, sorted; files that do not look like a trial are left out.
std::vector<std::string> published_trials(Files& files, const std::filesystem::path& out);

struct SweepStatus {
  struct Damaged {
    std::string name, reason;
  };
  std::size_t planned = 0;  // every trial the directory knows of: plan, results, failures
  std::size_t done = 0;     // results of finished trials; diverged ones are counted apart
  std::vector<std::string> diverged;
  std::vector<FailureRecord> failed;      // of trials without a result
  std::vector<RunningTrial> running;      // live ones
  std::vector<RunningTrial> stale;        // heartbeats whose process is gone or silent
  std::vector<Damaged> damaged;           // result files that cannot be read
  std::vector<PlannedTrial> missing;      // planned, and none of the above
  double mean_seconds = 0;                // of one finished trial, 0 if none is
  std::optional<double> trials_per_hour;  // over the results of the last hour before the newest
  std::optional<double>
      seconds_left;  // from mean_seconds and what runs now; nothing while nothing runs
};

SweepStatus read_status(Files& files, const std::filesystem::path& out, std::int64_t now);

}  // namespace winnow
