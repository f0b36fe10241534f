// How many cores one rank may use. Pure but for the topology of the machine it runs on.
#pragma once

#include <cstddef>

#include "distributed/communicator.h"

namespace winnow {

// Physical cores this rank is bound to (mpirun, srun, taskset), shared evenly with the ranks of its
// node that are bound to the same ones, and no more than its share of the CPU quota of its container; at least 1.
// Collective over `world`.
int cores_of_rank(Communicator& world);

// What a process does with its cores.
struct CoreShares {
  int workers = 1;          // trials at a time
  int threads = 1;          // of each of them
  bool read_ahead = false;  // each has a core besides, for preparing its batches
};

// Cores become trials at a time before they become threads. `workers` and `threads` are what was asked for, 0 for nothing;
// without `may_fork` there is one trial at a time.
CoreShares share_cores(int cores, std::size_t trials, int workers, int threads, bool may_fork);

}  // namespace winnow
