// How many cores one rank may use. Pure but for the topology of the machine it runs on.
#pragma once

#include "distributed/communicator.h"

namespace winnow {

// Physical cores this rank is bound to (mpirun, srun, taskset), shared evenly with the ranks of its
// node that are bound to the same ones, and no more than its share of the CPU quota of its container; at least 1.
// Collective over `world`.
int cores_of_rank(Communicator& world);

}  // namespace winnow
