// Which trials an output directory is meant to hold. Each sweep that ran on it has one file, plans/<digest>.tsv, so
// that sweeps which start together cannot lose each other's plan; plan.tsv is all of them in one, for people and for
// older versions of winnow, and is read as well. Plain values; reading validates every line.
#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/results/files.h"
#include "experiments/trial_table.h"

namespace winnow {

struct PlannedTrial {
  std::string name;       // "<id>-r<replicate>"
  std::string canonical;  // key=value separated by single spaces; for people and for `missing` tables
  bool operator==(const PlannedTrial&) const = default;
};

// "<id>-r<replicate>": what else is a path, and must not be followed.
bool is_trial_name(std::string_view name);

PlannedTrial planned(const TrialSpec& spec);

// The settings in such a line; those at their default are not among them.
Settings settings_of_plan(const std::string& canonical);

// The plan of one sweep, or of all that an older winnow ran.
struct WrittenPlan {
  std::filesystem::path path;
  std::string written;  // UTC, when it was last run; empty in plan.tsv
  std::vector<PlannedTrial> trials;
};

// Plans of other sweeps stay: a directory can serve several, and none of their results may drop out of sight.
void write_plan(Files& files, const std::filesystem::path& out, std::span<const PlannedTrial> trials);
void write_plan(Files& files, const std::filesystem::path& out, const TrialTable& trials);
// Of the trials' names, in whatever order; the name of its file.
std::string plan_digest(std::vector<std::string> names);
std::string plan_digest(const TrialTable& trials);
// Whether a plan of plans/ says what it was written with, which its name and the names of its trials are digests of: what is
// wrong, in words, or nothing.
std::optional<std::string> plan_fault(const WrittenPlan& plan);
// sweeps/<digest>.yaml: the text of a sweep file as it was run, once.
void archive_sweep(Files& files, const std::filesystem::path& out, const std::string& text);
std::string archive_name(std::string_view text);  // of its file
// The last that was run first; plan.tsv, with what no other plan has, is the end. A damaged line is Error{Input} with
// its number.
std::vector<WrittenPlan> read_plans(Files& files, const std::filesystem::path& out);
// That of one sweep, by its digest; nothing: there is none.
std::optional<WrittenPlan> read_plan_of(Files& files, const std::filesystem::path& out, const std::string& digest);
// Every trial of every plan once, in that order. Empty if there is no plan.
std::vector<PlannedTrial> read_plan(Files& files, const std::filesystem::path& out);

// What is wanted now, and what an earlier sweep wanted: the plan that was last run, and each one that has a trial in
// work, against all others. In the order of read_plans.
struct PlansByTime {
  std::vector<WrittenPlan> current, earlier;
};
PlansByTime plans_by_time(std::vector<WrittenPlan> plans, const std::set<std::string>& in_work);

// Removes plans, and the failure records of trials that no other plan has; results stay. Killed in the middle, it leaves
// whole plans, and can be called again. A plan that was run since it was read stays.
void forget_plans(Files& files, const std::filesystem::path& out, std::span<const WrittenPlan> plans);

}  // namespace winnow
