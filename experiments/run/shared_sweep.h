// The sweep of a job, planned once.
#pragma once

#include "distributed/communicator.h"
#include "experiments/run/run_sweep.h"

namespace winnow {

// Rank 0 reads and plans; the others get its trials, the text of the sweep file and nothing else. Throws AgreedError on
// every rank: for what is wrong with the sweep as rank 0 says it, and where a rank wants another sweep (compare_notes) or
// has another file behind a path that is part of an identity. Collective.
Sweep shared_sweep(Communicator& world, const SweepJob& job);

}  // namespace winnow
