// What a trial will keep and compute, told before it is trained: the counts of accounting.h on the masks that its
// method foretells (Method::forecast). Pure.
#pragma once

#include <map>
#include <string>

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

struct Foreseen {
  std::map<std::string, double> summary;  // as Accounting::summary
  double train_macs = 0;                  // multiply-adds of the whole training, scoring included
  bool equal_shares = false;              // how layers share what is removed is taken to be even
  bool upper_bound = false;               // training makes zeros that cannot be foretold: less is kept in the end
};

Foreseen foresee(const TrialOutline& trial);

}  // namespace winnow
