// What a trial will cost, before it runs: counted from the graph, timed by a rule of thumb until
// finished trials of the same model are there to measure by.
#pragma once

#include <cstdint>

#include "experiments/trial.h"

namespace winnow {

struct TrialEstimate {
  std::int64_t params = 0;  // of the dense model
  std::int64_t kept = 0;  // prunable weights kept at the target density, plus all other parameters
  std::int64_t macs_dense = 0;    // of one inference
  std::int64_t memory_bytes = 0;  // of one rank
  double flops = 0;               // of the whole training, dense kernels
  double seconds = 0;             // on one rank
};

TrialEstimate estimate(const TrialSpec& spec);

}  // namespace winnow
