// The order in which trials that need each other can be trained: how deep each lies behind others, and how long what
// depends on it will take. Pure; linear in the number of trials and needs.
#pragma once

#include <span>
#include <vector>

#include "experiments/trial_table.h"

namespace winnow {

struct NeedOrder {
  std::vector<int> depth;     // of each trial: 0 needs nothing, others one more than the deepest that they need
  std::vector<double> chain;  // its own cost and that of the longest chain of trials that wait for it
  int deepest = 0;
};

// Needs that are no trial of the list count as done.
NeedOrder need_order(const TrialTable& trials, std::span<const double> costs);

}  // namespace winnow
