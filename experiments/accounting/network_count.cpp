#include "experiments/accounting/network_count.h"

#include <algorithm>
#include <set>

namespace winnow {

void count_own_form(NetworkCount& count, ParamId id, std::int64_t kept, std::int64_t coded) {
  const auto leaf = std::ranges::find(count.leaves, id, &LeafCount::id);
  if (leaf == count.leaves.end()) return;
  const std::int64_t bits = own_bits({leaf->stored.numel, kept, 0}, coded);
  if (!leaf->spec->derived) leaf->bits.own = bits;
  for (std::size_t i = 0; i < count.layers.size(); ++i) {
    const LayerCount& layer = count.layers[i];
    const bool from_it = std::ranges::find(layer.leaves, id) != layer.leaves.end();
    if (layer.derived && from_it && leaf->spec->derived) count.merged[i].bits.own = bits;
  }
}

std::map<std::string, double> summary_of(const Model& dense, const Model& edited, const NetworkCount& count) {
  std::set<std::string> dense_layers;
  const std::vector<LayerCount> dense_counts = count_layers(dense);
  for (const LayerCount& layer : dense_counts) dense_layers.insert(layer.name);

  std::set<ParamId> in_layers;  // parameters that are counted by the weights made from them
  std::set<ValueId> seen;
  std::int64_t nonzero_prunable = 0, nonzero_all = 0, dead = 0, trained = 0;
  for (const LayerCount& layer : count.layers) {
    in_layers.insert(layer.leaves.begin(), layer.leaves.end());
    if (!seen.insert(layer.weight).second) continue;
    nonzero_all += layer.nonzero;
    if (!layer.prunable && dense_layers.count(layer.name) == 0) continue;
    nonzero_prunable += layer.nonzero;
    // What a mask keeps may be zero because it has just grown; without a mask zero is the end of it.
    const bool all_zero = !layer.derived && layer.kept == 0;
    dead += layer.nonzero == 0 && (layer.trained == 0 || all_zero);
  }
  for (const LeafCount& leaf : count.leaves) {
    trained += leaf.trained;
    // Biases and normalisation count as non-zero whatever their values are.
    if (in_layers.count(leaf.id) == 0) nonzero_all += leaf.stored.kept;
  }

  std::int64_t total = 0, prunable = 0;
  for (const ParamSpec& spec : dense.params) {
    total += spec.shape.numel();
    if (spec.prunable) prunable += spec.shape.numel();
  }
  const auto ratio = [](double over, double under) { return under == 0 ? 0 : over / under; };
  const auto real = [](std::int64_t number) { return static_cast<double>(number); };
  const StoredSize stored = stored_size(count.layers, count.merged, count.leaves, edited.params.size());
  const double bits = real(stored.bits()), dense_bits = 32 * real(total);
  const double density = ratio(real(nonzero_prunable), real(prunable));
  const double macs = macs_dense(dense_counts) + macs_of_products(dense);
  const double sparse = macs_sparse(count.layers) + macs_of_products(edited);
  std::map<std::string, double> summary = {{"params.total", real(total)},
                                           {"params.prunable", real(prunable)},
                                           {"params.kept", real(stored.values)},
                                           {"params.trained", real(trained)},
                                           {"density", density},
                                           {"sparsity.prunable", 1 - density},
                                           {"sparsity.all", 1 - ratio(real(nonzero_all), real(total))},
                                           {"compression", ratio(real(total), real(nonzero_all))},
                                           {"macs.dense", macs},
                                           {"macs.sparse", sparse},
                                           {"stored.bits", bits},
                                           {"stored.bits_by_tensor", real(stored.by_tensor)},
                                           {"stored.bits_as_one", real(stored.as_one)},
                                           {"stored.bits_dense", dense_bits},
                                           {"stored.ratio", ratio(dense_bits, bits)},
                                           {"dead_layers", real(dead)}};
  if (sparse > 0) summary["speedup.theoretical"] = macs / sparse;  // unbounded for an empty network
  return summary;
}

}  // namespace winnow
