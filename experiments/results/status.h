// The state of an output directory, worked out from its files alone: nothing is stored twice, so
// nothing can disagree, and looking changes nothing. Plain values.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "experiments/results/failure_file.h"
#include "experiments/results/plan_file.h"
#include "experiments/results/progress_file.h"
#include "experiments/results/run_account.h"

namespace winnow {

// Error{Input} unless `winnow run` has written to `out`.
void check_output_directory(Files& files, const std::filesystem::path& out);
// Names of all result files, sorted; what is in them is not looked at.
std::vector<std::string> published_trials(Files& files, const std::filesystem::path& out);
// A file in trials/ that gives no result now: damaged, of another trial (a copy), of a newer version, or one that the
// system cannot read. The others are read without it.
bool is_unreadable(const Error& error);

struct SweepStatus {
  struct Damaged {
    std::string name, reason;
  };
  // Every trial the directory knows of: plans, results, failures; an unplanned damaged file is none.
  std::size_t planned = 0;
  // Of them, those that no current plan has (see plans_by_time); sorted. Empty where nothing is planned at all.
  std::vector<std::string> earlier;
  std::vector<std::string> done;  // finished trials, sorted; diverged ones stand apart, sorted as well
  std::vector<std::string> diverged;
  std::vector<std::string> stopped;           // by a rule, or waiting for its decision; sorted
  std::vector<FailureRecord> failed;          // of trials without a result
  std::vector<RunningTrial> running;          // live ones
  std::vector<RunningTrial> stale;            // heartbeats whose process is gone or silent
  std::vector<Damaged> damaged;               // result files that cannot be used; the reason says why
  std::vector<PlannedTrial> missing;          // planned, and none of the above
  std::map<std::string, std::int64_t> saved;  // by trial without a result: the step that its next run goes on from
  RunAccount runs;                            // all so far, and what became of their time
  double mean_seconds = 0;                    // of one finished trial, 0 if none is
  std::optional<double> trials_per_hour;      // over the results of the last hour before the newest
  std::optional<double> seconds_left;         // until the current plans are done, from what runs now and mean_seconds
};

// Of one running trial: from what it has done so far, where that says something; else from what others took (0: unknown).
std::optional<double> seconds_left_of(const RunningTrial& trial, double mean_seconds);

SweepStatus read_status(Files& files, const std::filesystem::path& out, std::int64_t now);
// Without the trials that are in `earlier`, which keeps their names.
SweepStatus of_current_plans(SweepStatus status);

}  // namespace winnow
