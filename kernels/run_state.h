// What changes from run to run of a compiled program. It lies in fixed memory, and kernels read it
// through Exec::run while they run: nothing in it is passed by value or kept in a kernel, so a
// program that was recorded once (a CUDA graph) can be run again after the host has fed other values.
// Owned by whoever feeds it; one thread feeds it between runs. Programs of one trial may share one.
#pragma once

#include <atomic>
#include <cstdint>

#include "kernels/portable.h"

namespace winnow {

// Written by the host before a run.
struct RunFeed {
  std::uint64_t seed = 0;         // of the trial's dropout stream
  std::uint32_t step = 0;         // updates applied so far; random ops key their draws by (seed, node name, step)
  std::int64_t first_row = 0;     // index of this rank's first example in the whole batch
  bool update_statistics = true;  // batch norm updates its running statistics
  // Of the update that this run applies: its learning rate, and its number since the optimiser was reset, from 1.
  double learning_rate = 0;
  std::int64_t update = 0;
};

// Written by kernels, read by the host when it reports. All of it stays until the host clears it.
struct RunStatus {
  static constexpr std::uint64_t kNoLabel = ~std::uint64_t{0};

  // A loss, weight or running statistic has become infinite or NaN, first in the run of step `since`.
  std::uint32_t not_finite = 0, since = 0;
  // not_finite as it was when this run started: updates and running statistics then change nothing. A copy, so that all
  // threads of a run see the same.
  std::uint32_t stopped = 0;
  // row * 2^32 + label of the first row whose label is not below the classes.
  std::uint64_t bad_label = kNoLabel;
};

struct RunState {
  // Blocks of a kernel that are done, in so many independent counts: which block is the last one, and goes on with what all
  // of them have written, is found by these. Zero between kernels.
  static constexpr int kSlots = 64;

  RunFeed feed;
  RunStatus status;
  std::uint32_t blocks_done[kSlots] = {};
};

// By any number of threads of a run, which all write the same.
WINNOW_HD void mark_not_finite(RunState* run) {
  if (run->status.not_finite != 0) return;
  run->status.since = run->feed.step;
  run->status.not_finite = 1;
}

WINNOW_HD void mark_bad_label(RunState* run, std::int64_t row, std::int32_t label) {
  const std::uint64_t value = static_cast<std::uint64_t>(row) << 32 | static_cast<std::uint32_t>(label);
#if defined(__CUDA_ARCH__)
  atomicMin(reinterpret_cast<unsigned long long*>(&run->status.bad_label), static_cast<unsigned long long>(value));
#else
  const std::atomic_ref<std::uint64_t> least(run->status.bad_label);
  for (std::uint64_t seen = least; value < seen && !least.compare_exchange_weak(seen, value);) {
  }
#endif
}

}  // namespace winnow
