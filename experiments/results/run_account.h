// What the journals of a directory say of its runs as a whole: which are at work and how fast, and what became of the time
// that trials took. Plain values; looking changes nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "experiments/results/files.h"

namespace winnow {

// In seconds of trials, over all runs so far. `useful`: kept by a result or a checkpoint. `unsaved`: not kept yet, of runs that
// live. `preempted`: not kept when a run was told to stop, or killed from outside. `failed`: of trials that failed, and not
// kept when a process crashed or its run ended with an error.
struct TimeSpent {
  double useful = 0, unsaved = 0, preempted = 0, failed = 0;
  double all() const { return useful + unsaved + preempted + failed; }
  TimeSpent& operator+=(const TimeSpent& other);
};

struct LiveRun {
  std::string part;                      // "run", or a shard: "s0007"
  int attempt = 1;                       // of the part
  std::string host;                      // of the process that keeps the journal
  std::int64_t trials = 0, in_work = 0;  // that this run had to train; now
  double done = 0;                       // of them, parts of those in work counted
  double images_per_second = 0;          // of those in work
  double began = 0, heard = 0;           // Unix seconds
  std::optional<double> trials_per_hour() const;
  std::optional<double> seconds_left() const;  // if it goes on so; nothing while that says nothing
};

struct RunAccount {
  TimeSpent spent;
  std::vector<LiveRun> live;  // by part and attempt
};

// `now`: Unix seconds. What cannot be read counts as nothing.
RunAccount account_of_runs(Files& files, const std::filesystem::path& out, std::int64_t now);

// journal/<part>.a<attempt>.crash: a process of that run crashed (CrashWatch), so what it had not saved was not lost to the
// outside. It stays, as the journal does.
std::filesystem::path crash_mark(const std::filesystem::path& out, const std::string& part, int attempt);

}  // namespace winnow
