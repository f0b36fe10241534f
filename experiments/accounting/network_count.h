// Everything that is counted of one network: its layers and what has to be stored of it, trained or foretold, and the
// summary values that follow. Plain values; definitions: experiments/results/summary.cpp.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "experiments/accounting/leaf_count.h"

namespace winnow {

struct NetworkCount {
  std::vector<LayerCount> layers;   // measured
  std::vector<MergedCount> merged;  // by layer; empty counts where the weight is a parameter
  std::vector<LeafCount> leaves;    // of all parameters that are not retired
};

// params.*, density, sparsity.*, compression, macs.*, speedup.theoretical, stored.*, dead_layers. `dense`: the model
// without methods, `edited`: the counted one.
std::map<std::string, double> summary_of(const Model& dense, const Model& edited, const NetworkCount& count);

}  // namespace winnow
