// running/<name>.json: the heartbeat of a trial, written by the process that trains it and removed
// at the end. For `winnow status`, runs that share a folder, and ranks that wait for others: no failure to write it can disturb the
// trial. One ProgressFile per trial, used from one thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "experiments/results/files.h"
#include "experiments/trial.h"

namespace winnow {

struct Progress {
  std::int64_t step = 0, steps = 0;  // optimiser steps done and planned
  std::int64_t from = 0;             // the step that this process went on from
  std::optional<double> loss, test_acc;
  double images_per_second = 0;
};

class ProgressFile {
 public:
  // Writes a first heartbeat at once. `files` must outlive this.
  ProgressFile(Files& files, const std::filesystem::path& out, const TrialSpec& spec, int ranks);
  ~ProgressFile();  // removes the file, if it is still this one's
  ProgressFile(const ProgressFile&) = delete;
  ProgressFile& operator=(const ProgressFile&) = delete;

  // Cheap: writes only the first steps, and then if the last write is kEvery or more ago.
  void update(const Progress& progress);

  static constexpr std::chrono::seconds kEvery{5};
  static constexpr std::chrono::seconds kStale{90};

 private:
  void write(const Progress& progress);

  Files& files_;
  std::filesystem::path path_;
  std::string name_, label_, host_;
  std::string token_;  // tells this heartbeat from another run's of the same trial
  int ranks_;
  std::int64_t started_;  // Unix seconds
  std::chrono::steady_clock::time_point written_;
  bool knows_steps_ = false;
};

struct RunningTrial {
  std::string name, label, host;
  std::int64_t process = 0, started = 0, updated = 0;  // times in Unix seconds
  int ranks = 1;
  Progress progress;
  bool stale = false;  // no heartbeat for kStale, or its process on this host is gone
};

std::vector<RunningTrial> read_running(Files& files, const std::filesystem::path& out, std::int64_t now);
// Of one trial; nothing if it has no heartbeat.
std::optional<RunningTrial> read_running(Files& files, const std::filesystem::path& out, const std::string& name,
                                         std::int64_t now);
std::int64_t unix_now();
// What a trial is called where its settings are too long: "lenet300/rigl/0.1".
std::string label_of(const Settings& trial);
// Whether this machine is `host`, and the process is no more there.
bool is_gone_here(const std::string& host, std::int64_t process);

}  // namespace winnow
