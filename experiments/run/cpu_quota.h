// The CPU time that the kernel's control groups leave to this process (docker --cpus, limits of Kubernetes, Slurm or
// systemd). More threads than that are stopped in the middle of their work for the rest of each period.
#pragma once

#include <filesystem>
#include <limits>
#include <string>

namespace winnow {

struct CpuQuota {
  double cores = std::numeric_limits<double>::infinity();  // seconds of CPU time in a second; infinite: no limit
  std::string group;                                       // the group that sets it
};

// The tightest limit from the process's own group up to the root, of version 2 and of version 1; what cannot be read is no
// limit. `root` stands for "/", where /proc and /sys lie.
CpuQuota cpu_quota(const std::filesystem::path& root);

}  // namespace winnow
