// What a trial will keep and compute, told before it is trained: the counts of accounting.h on the masks that its
// method foretells (Method::forecast). Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/method.h"

namespace winnow {

struct TrialOutline {
  const Model& dense;    // without the method
  const Model& edited;   // with its edits
  const Method& method;  // that made them
  RunLength length;
  std::int64_t batch;       // over all ranks
  bool start_file = false;  // start values come from a file, so that no seed regenerates them
  int passes = 1;           // forward and backward, of an update (Optimizer::passes)
};

// A tensor that the trial's result holds, by its counts at the end.
struct ForetoldTensor {
  std::int64_t numel = 0, rows = 1;
  std::int64_t kept = 0, live = 0;  // not pruned; that training may still change
  std::int64_t untouched = 0;       // kept, with the value that a seed gives
  std::int64_t own_bits = -1;       // of a form of the method's own; -1: there is none
  bool is_buffer = false;           // a statistic, which no optimiser updates
};

struct Foreseen {
  std::map<std::string, double> summary;  // as Accounting::summary
  std::vector<ForetoldTensor> tensors = {};
  double train_macs = 0;      // multiply-adds of the whole training, scoring included
  bool equal_shares = false;  // how layers share what is removed is taken to be even
  bool upper_bound = false;   // training makes zeros that cannot be foretold: less is kept in the end
};

Foreseen foresee(const TrialOutline& trial);

}  // namespace winnow
