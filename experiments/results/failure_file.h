// failed/<name>.json: why a trial has no result. A small record, replaced by the next attempt and
// removed when the trial has a result; a rerun tries every failed trial again. Plain values.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "experiments/results/files.h"
#include "experiments/trial.h"

namespace winnow {

struct FailureRecord {
  std::string name;    // "<id>-r<replicate>"
  std::string reason;  // one line
  std::string time;    // UTC, of the last attempt
  int attempts = 1;
  bool damaged = false;  // then `reason` says so
};

// Counts the attempts of an earlier record of the same trial.
void record_failure(Files& files, const std::filesystem::path& out, const TrialSpec& spec, const std::string& reason);
void forget_failure(Files& files, const std::filesystem::path& out, const std::string& name);
// Why the trial failed, if there is a record of that.
std::optional<std::string> failure_reason(Files& files, const std::filesystem::path& out, const std::string& name);
// Sorted by name. A record that cannot be read is listed with that as its reason: it is only a note.
std::vector<FailureRecord> read_failures(Files& files, const std::filesystem::path& out);

}  // namespace winnow
