#include "experiments/accounting/leaf_count.h"

#include <algorithm>
#include <bit>
#include <map>
#include <set>

namespace winnow {
namespace {

bool same_bits(float a, float b) { return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b); }

std::vector<float> regenerated(const ParamStore& params, ParamId id) {
  const SeededInit init = params.seeded(id);
  std::vector<float> values(params.weight(id).size());
  generate(init.spec, init.key, values);
  return values;
}

// What is stored of some tensors: by tensor, and those that are not dense together.
struct Stored {
  std::int64_t by_tensor = 0, dense = 0, values = 0;
  StoredCount rest;

  void add(const StoredCount& count, const StoredBits& bits) {
    by_tensor += bits.smallest();
    values += count.kept - count.untouched;
    if (bits.smallest() == bits.dense) {
      dense += bits.dense;
    } else {
      rest.numel += count.numel;
      rest.kept += count.kept;
      rest.untouched += count.untouched;
    }
  }
  void add(const Stored& other) {
    by_tensor += other.by_tensor;
    dense += other.dense;
    values += other.values;
    rest.numel += other.rest.numel;
    rest.kept += other.rest.kept;
    rest.untouched += other.rest.untouched;
  }
};

}  // namespace

LeafCount count_leaf(const ParamStore& params, ParamId id) {
  const ParamSpec& spec = params.specs()[static_cast<std::size_t>(id)];
  const bool updated = spec.trainable && !spec.seeded;
  LeafCount leaf{
      id, &spec, updated ? params.live(id) : 0, {spec.shape.numel(), params.count(id, MaskKind::Keep), 0}, {}};
  const auto keep = params.mask(id, MaskKind::Keep), train = params.mask(id, MaskKind::Trainable);
  if (!updated || !train.empty()) {
    // Start values may come from a file, and decay may have moved frozen entries: only equal bits count as regenerated.
    const std::vector<float> base = regenerated(params, id);
    const auto values = params.weight(id);
    for (std::size_t i = 0; i < base.size(); ++i) {
      const bool frozen = !updated || train[i] == 0, kept = keep.empty() || keep[i] != 0;
      if (frozen && kept && same_bits(values[i], base[i])) ++leaf.stored.untouched;
    }
  }
  leaf.bits = stored_bits(leaf.stored);
  return leaf;
}

MergedCount count_merged(const LayerCount& layer, const std::vector<float>& values, const ParamStore& params) {
  StoredCount count{layer.numel, layer.nonzero, 0};
  for (const ParamId id : layer.leaves) {
    const ParamSpec& spec = params.specs()[static_cast<std::size_t>(id)];
    if ((spec.trainable && !spec.seeded) || spec.shape.numel() != layer.numel) continue;
    const std::vector<float> base = regenerated(params, id);
    std::int64_t same = 0;
    for (std::size_t i = 0; i < base.size(); ++i) same += values[i] != 0 && same_bits(values[i], base[i]);
    count.untouched = std::max(count.untouched, same);
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
  return {total.by_tensor, total.dense + stored_bits(total.rest).smallest(), total.values};
}

}  // namespace winnow
