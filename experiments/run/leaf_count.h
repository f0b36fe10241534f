// What has to be stored of a trained network: its parameters, or the weights derived from them
// where that is less. Pure functions of a parameter store.
#pragma once

#include <span>
#include <vector>

#include "experiments/run/layer_count.h"
#include "experiments/run/stored_bits.h"

namespace winnow {

// One parameter that takes part in the network. Borrows the store's specification of it.
struct LeafCount {
  ParamId id;
  const ParamSpec* spec;
  std::int64_t trained = 0;  // entries that training updates
  StoredCount stored = {};
  StoredBits bits = {};
};
LeafCount count_leaf(const ParamStore& params, ParamId id);

// The size of a derived weight if it is stored itself, as a mask over a regenerated parameter where
// it is one.
StoredBits merged_bits(const LayerCount& layer, const std::vector<float>& values,
                       const ParamStore& params);

// The smallest size of everything. Derived weights that share parameters are stored together:
// either their parameters or the merged weights, `merged` by layer.
std::int64_t total_bits(const std::vector<LayerCount>& layers,
                        const std::vector<StoredBits>& merged, const std::vector<LeafCount>& leaves,
                        std::size_t param_count);

}  // namespace winnow
