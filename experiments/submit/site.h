// What a site asks of its jobs: a small YAML file, and options of the command line that win over it. A value.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/settings.h"

namespace winnow {

// Slurm may tell a job so many seconds before it was asked to: sbatch(1), --signal.
inline constexpr std::int64_t kMostEarly = 60;

struct Site {
  std::string partition, account, exclude, memory;  // empty: Slurm's own default
  std::string time;                                 // the limit as it was written
  std::int64_t time_seconds = 0, notice = 0;        // notice: seconds before it at which a run is to save and stop
  std::int64_t nodes = 1, tasks_per_node = 1, gpus_per_node = 0, cpus_per_task = 0;  // 0: Slurm's own default
  std::int64_t array_limit = 0, at_once = 0;                                         // 0: none of the site's own
  std::int64_t crashes = 0, ask_every = 0;
  bool exclude_failed = true;  // nodes that were lost under jobs of this folder
  std::string launch;          // auto, srun, mpirun, none
  std::vector<std::string> setup, sbatch;
};

// All keys of a profile but `setup` and `sbatch`, which are lists of lines. Each is an option as well: --tasks-per-node.
const Schema& site_settings();
std::string option_of(const Setting& setting);

// `path`: empty for none. `given`: options by the key of the setting, "sbatch" among them. SweepError with every mistake,
// Error{Input} where the file cannot be read.
Site read_site(const std::filesystem::path& path, const std::vector<std::pair<std::string, std::string>>& given);

// Nothing for what Slurm does not take as a time limit: "90", "90:00", "01:30:00", "1-12", "1-12:00", "1-12:00:00".
std::optional<std::int64_t> seconds_of_limit(const std::string& text);

}  // namespace winnow
