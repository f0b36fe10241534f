// Before any training: do the ranks of a job want the same, in the same place?
#pragma once

#include <filesystem>
#include <span>

#include "distributed/communicator.h"
#include "experiments/results/files.h"
#include "experiments/run/run_sweep.h"
#include "experiments/trial.h"

namespace winnow {

// Throws AgreedError on every rank if one of them has other trials or options than rank 0, or does not see in OUT what rank 0
// writes there (a relative path in another folder, a disk of its own node). Makes OUT. Collective.
void compare_notes(Communicator& world, std::span<const TrialSpec> trials, const RunOptions& options, Files& files);

}  // namespace winnow
