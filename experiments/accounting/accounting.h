// The one place where a trained network is counted, whatever method made it: parameters, density,
// multiply-adds and stored size. Definitions: experiments/results/summary.cpp. Pure; results are plain values.
//
// Density is that of the weights the layers compute with, so a re-parametrised weight counts as
// what it is; kept, trained and stored values are those of the parameters behind it. Zeros count whether a mask names
// them or not; a prunable tensor that has a mask stores what the mask keeps, be it zero at the end or not.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "experiments/accounting/network_count.h"
#include "experiments/trial.h"

namespace winnow {

struct Accounting {
  std::vector<LayerCount> layers;  // of the network with its methods
  // params.*, density, sparsity.*, compression, macs.*, speedup.theoretical, stored.*, dead_layers
  std::map<std::string, double> summary;
  // One row a parameter, named as in the file; then one for each derived weight, named as its
  // layer. Bits are ideal sizes; those of a derived weight are what the merged weight would take.
  Table table;
};

// `dense`: the model without methods, `edited`: with them; `effective`:
// TrainState::effective_weights(); `encoded`: what the method stores in a form of its own.
Accounting account(const Model& dense, const Model& edited, const ParamStore& params,
                   std::span<const TrainState::LayerWeight> effective, const std::map<ParamId, Encoded>& encoded = {});

}  // namespace winnow
