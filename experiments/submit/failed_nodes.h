// Nodes that were lost again and again under jobs of a folder: bad hardware takes what is trained there with it. Pure.
#pragma once

#include <set>
#include <span>
#include <string>
#include <vector>

#include "experiments/submit/slurm.h"

namespace winnow {

struct FailedNodes {
  std::vector<std::string> exclude;  // by name
  std::vector<std::string> notes;    // what was found, a line each
};

// `accounts`: every start of a job; `jobs`: the names of those of this folder. A node counts where a task had it alone, since of
// several Slurm does not say which one was lost; and when it was lost twice, since once is a reboot. Where many were it was no
// fault of one, but power or a switch, and none is left out.
FailedNodes failed_nodes(std::span<const SlurmTask> accounts, const std::set<std::string>& jobs);

}  // namespace winnow
