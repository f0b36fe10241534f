// What changes from run to run of a compiled program. It lies in fixed memory, and kernels read it
// through Exec::run while they run: nothing in it is passed by value or kept in a kernel, so a
// program that was recorded once (a CUDA graph) can be run again after the host has fed other values.
// Owned by whoever feeds it; one thread feeds it between runs.
#pragma once

#include <cstdint>

namespace winnow {

// Written by the host before a run.
struct RunFeed {
  std::uint64_t seed = 0;         // of the trial's dropout stream
  std::uint32_t step = 0;         // random ops key their draws by (seed, node name, step)
  std::int64_t first_row = 0;     // index of this rank's first example in the whole batch
  bool update_statistics = true;  // batch norm updates its running statistics
};

struct RunState {
  RunFeed feed;
};

}  // namespace winnow
