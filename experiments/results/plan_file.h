// out/plan.tsv: which trials an output directory is meant to hold. Written whole by `winnow run`,
// read by status, collect and report. Plain values; reading validates every line.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "experiments/results/files.h"
#include "experiments/trial.h"

namespace winnow {

struct PlannedTrial {
  std::string name;       // "<id>-r<replicate>"
  std::string canonical;  // key=value separated by single spaces; for people and for `missing` tables
  bool operator==(const PlannedTrial&) const = default;
};

PlannedTrial planned(const TrialSpec& spec);

// Trials of an earlier plan that are not in `trials` stay in the file, after them: a directory can
// serve several sweeps, and none of their results may drop out of sight.
void write_plan(Files& files, const std::filesystem::path& out, std::span<const PlannedTrial> trials);
// Empty if there is no plan. A damaged line is Error{Input} with its number.
std::vector<PlannedTrial> read_plan(Files& files, const std::filesystem::path& out);

}  // namespace winnow
