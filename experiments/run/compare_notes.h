// Do the ranks of a job want the same, in the same place?
#pragma once

#include <filesystem>

#include "distributed/communicator.h"
#include "experiments/results/files.h"
#include "experiments/run/run_sweep.h"

namespace winnow {

// Before rank 0 plans for all: throws AgreedError on every rank if one of them is another build than rank 0, or was given
// another sweep file or other options. Whether the file can be understood is not looked at. Collective.
void compare_notes(Communicator& world, const SweepJob& job);

// Makes OUT. Throws AgreedError on every rank if one of them does not see there what rank 0 writes (a relative path in
// another folder, a disk of its own node). Collective.
void share_out(Communicator& world, const std::filesystem::path& out, Files& files);

}  // namespace winnow
