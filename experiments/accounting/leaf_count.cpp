#include "experiments/accounting/leaf_count.h"

#include <algorithm>
#include <map>
#include <set>

namespace winnow {
namespace {

// Can a weight derived from this parameter be a mask over its regenerated values?
bool is_base(const ParamSpec& spec, const LayerCount& layer) {
  return !is_trained(spec) && spec.shape.numel() == layer.numel;
}

// What is stored of some tensors: by tensor, and together those that have positions to share.
struct Stored {
  std::int64_t by_tensor = 0, alone = 0, values = 0;
  StoredCount rest;

  void add(const StoredCount& count, const StoredBits& bits) {
    by_tensor += bits.smallest();
    values += count.kept - count.untouched;
    if (bits.smallest() == bits.dense || bits.smallest() == bits.own) {
      alone += bits.smallest();
    } else {
      rest.numel += count.numel;
      rest.kept += count.kept;
      rest.untouched += count.untouched;
    }
  }
  void add(const Stored& other) {
    by_tensor += other.by_tensor;
    alone += other.alone;
    values += other.values;
    rest.numel += other.rest.numel;
    rest.kept += other.rest.kept;
    rest.untouched += other.rest.untouched;
  }
};

}  // namespace

LeafCount count_leaf(const ParamSpec& spec, ParamId id, const EntryCount& count) {
  LeafCount leaf{id, &spec, is_trained(spec) ? count.live : 0, {spec.shape.numel(), count.kept, count.untouched}, {}};
  leaf.bits = stored_bits(leaf.stored);
  return leaf;
}

MergedCount count_merged(const LayerCount& layer, const std::vector<float>& values, const ParamStore& params) {
  StoredCount count{layer.numel, layer.nonzero, 0};
  for (const ParamId id : layer.leaves) {
    if (!is_base(params.specs()[static_cast<std::size_t>(id)], layer)) continue;
    const std::vector<float> base = regenerated(params, id);
    std::int64_t same = 0;
    for (std::size_t i = 0; i < base.size(); ++i) same += values[i] != 0 && same_bits(values[i], base[i]);
    count.untouched = std::max(count.untouched, same);
  }
  return {count, stored_bits(count)};
}

MergedCount foresee_merged(const LayerCount& layer, std::span<const ParamSpec> specs, const EntryCounts& entries) {
  StoredCount count{layer.numel, layer.nonzero, 0};
  for (const ParamId id : layer.leaves) {
    const auto at = static_cast<std::size_t>(id);
    if (is_base(specs[at], layer) && entries[at].untouched == entries[at].kept) count.untouched = layer.nonzero;
  }
  return {count, stored_bits(count)};
}

StoredSize stored_size(const std::vector<LayerCount>& layers, const std::vector<MergedCount>& merged,
                       const std::vector<LeafCount>& leaves, std::size_t param_count) {
  std::vector<std::size_t> group(param_count);
  for (std::size_t i = 0; i < param_count; ++i) group[i] = i;
  std::set<std::size_t> replaceable;  // parameters that a merged weight makes unnecessary
  for (const LayerCount& layer : layers) {
    if (!layer.derived || layer.leaves.empty()) continue;
    const std::size_t target = group[static_cast<std::size_t>(layer.leaves.front())];
    for (const ParamId id : layer.leaves) {
      replaceable.insert(static_cast<std::size_t>(id));
      std::replace(group.begin(), group.end(), group[static_cast<std::size_t>(id)], target);
    }
  }
  std::map<std::size_t, Stored> by_parameters, by_weights;
  Stored total;
  for (const LeafCount& leaf : leaves) {
    const auto at = static_cast<std::size_t>(leaf.id);
    (replaceable.count(at) != 0 ? by_parameters[group[at]] : total).add(leaf.stored, leaf.bits);
  }
  std::set<ValueId> seen;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (!layers[i].derived || layers[i].leaves.empty() || !seen.insert(layers[i].weight).second) continue;
    by_weights[group[static_cast<std::size_t>(layers[i].leaves.front())]].add(merged[i].stored, merged[i].bits);
  }
  for (const auto& [key, parameters] : by_parameters) {
    const Stored& weights = by_weights.at(key);
    total.add(weights.by_tensor < parameters.by_tensor ? weights : parameters);
  }
  return {total.by_tensor, total.alone + stored_bits(total.rest).smallest(), total.values};
}

}  // namespace winnow
