// What has to be stored of a network: its parameters, or the weights derived from them where that is less. Pure
// functions of counts, and of a parameter store where values are compared.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "experiments/accounting/layer_count.h"
#include "experiments/accounting/stored_bits.h"

namespace winnow {

// One parameter that takes part in the network. Borrows the store's specification of it.
struct LeafCount {
  ParamId id;
  const ParamSpec* spec;
  std::int64_t trained = 0;  // entries that training updates
  StoredCount stored = {};
  StoredBits bits = {};
};
LeafCount count_leaf(const ParamSpec& spec, ParamId id, const EntryCount& count);

// A derived weight if it is stored itself, as a mask over a regenerated parameter where it is one.
struct MergedCount {
  StoredCount stored = {};
  StoredBits bits = {};
};
MergedCount count_merged(const LayerCount& layer, const std::vector<float>& values, const ParamStore& params);
// Before there are values: all non-zero entries of a regenerated parameter are as its seed gives them.
MergedCount foresee_merged(const LayerCount& layer, std::span<const ParamSpec> specs, const EntryCounts& entries);

struct StoredSize {
  // Positions are counted within each tensor, or in one list over all tensors that are neither stored dense nor in a form of
  // their method's: papers do either. The list needs one seed where each tensor needs its own.
  std::int64_t by_tensor = 0, as_one = 0;
  std::int64_t values = 0;  // that no seed regenerates
  std::int64_t bits() const { return std::min(by_tensor, as_one); }
};
// The smallest size of everything. Derived weights that share parameters are stored together:
// either their parameters or the merged weights, `merged` by layer.
StoredSize stored_size(const std::vector<LayerCount>& layers, const std::vector<MergedCount>& merged,
                       const std::vector<LeafCount>& leaves, std::size_t param_count);

}  // namespace winnow
