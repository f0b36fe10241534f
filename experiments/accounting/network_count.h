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

// A tensor has a form of the method's own (MaskForecast::Code, Encoded) of `coded` bits for the `kept` entries: that of the
// weight derived from it, or its own. Nothing happens if it is not counted.
void count_own_form(NetworkCount& count, ParamId id, std::int64_t kept, std::int64_t coded);

// params.*, density, sparsity.*, compression, macs.*, speedup.theoretical, stored.*, dead_layers. `dense`: the model
// without methods, `edited`: the counted one.
std::map<std::string, double> summary_of(const Model& dense, const Model& edited, const NetworkCount& count);

}  // namespace winnow
