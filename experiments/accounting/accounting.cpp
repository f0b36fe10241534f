#include "experiments/accounting/accounting.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "experiments/accounting/leaf_count.h"

namespace winnow {
namespace {

using LayerWeights = std::span<const TrainState::LayerWeight>;

// Rows of the /layers table in the making.
struct Rows {
  std::vector<std::string> name, layer, kind, form;
  std::vector<std::int64_t> numel, kept, trained, nonzero, macs, dense, bitmask, index, seed, bits;
  std::vector<double> density, macs_sparse;

  void add(const std::string& row, const std::string& owner, const std::string& what, std::int64_t count,
           std::int64_t kept_count, std::int64_t trained_count, std::int64_t nonzero_count, const StoredBits& size) {
    name.push_back(row);
    layer.push_back(owner);
    kind.push_back(what);
    numel.push_back(count);
    kept.push_back(kept_count);
    trained.push_back(trained_count);
    nonzero.push_back(nonzero_count);
    density.push_back(count == 0 ? 0 : static_cast<double>(nonzero_count) / static_cast<double>(count));
    macs.push_back(0);
    macs_sparse.push_back(0);
    dense.push_back(size.dense);
    bitmask.push_back(size.bitmask);
    index.push_back(size.index);
    seed.push_back(size.seed);
    bits.push_back(size.smallest());
    form.push_back(size.form());
  }
  // A weight that several layers share has the multiply-adds of all of them.
  void add_macs(std::size_t row, const LayerCount& count) {
    macs[row] += count.macs;
    macs_sparse[row] += count.macs_sparse();
  }

  Table table() && {
    Table made;
    made.columns = {
        {"name", std::move(name), "", "parameter; or layer, for a weight that is derived from parameters"},
        {"layer", std::move(layer), "", "layer that it belongs to"},
        {"kind", std::move(kind), "", "role of the parameter; conv2d or linear for the weight a layer computes with"},
        {"numel", std::move(numel), "count"},
        {"kept", std::move(kept), "count", "entries that no mask sets to zero"},
        {"trained", std::move(trained), "count", "entries that the last training run updated"},
        {"nonzero", std::move(nonzero), "count"},
        {"density", std::move(density), "1", "nonzero over numel"},
        {"macs", std::move(macs), "MAC", "multiply-adds of one inference, dense"},
        {"macs_sparse", std::move(macs_sparse), "MAC", "macs times density"},
        {"bits.dense", std::move(dense), "bit", "32 for each entry"},
        {"bits.bitmask", std::move(bitmask), "bit", "a bit for each entry and 32 for each kept one"},
        {"bits.index", std::move(index), "bit", "value and index of each kept entry"},
        {"bits.seed", std::move(seed), "bit", "seed and the entries that differ from its values; -1: not possible"},
        {"bits", std::move(bits), "bit", "the smallest of these", "min"},
        {"bits_form", std::move(form), "", "which one that is"},
    };
    return made;
  }
};

Table layer_table(const std::vector<LayerCount>& layers, const std::vector<MergedCount>& merged,
                  const std::vector<LeafCount>& leaves, const ParamStore& params) {
  Rows rows;
  std::map<ParamId, std::size_t> row_of;
  for (const LeafCount& leaf : leaves) {
    const auto values = params.weight(leaf.id);
    const std::int64_t zeros = std::count(values.begin(), values.end(), 0.0f);
    row_of[leaf.id] = rows.name.size();
    rows.add(leaf.spec->name, leaf.spec->layer, name_of(leaf.spec->role), leaf.stored.numel, leaf.stored.kept,
             leaf.trained, leaf.stored.numel - zeros, leaf.bits);
  }
  std::map<ValueId, std::size_t> derived_row;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const LayerCount& layer = layers[i];
    if (!layer.derived) {
      const std::size_t row = row_of.at(layer.leaves.front());
      rows.kind[row] = layer.kind;
      rows.add_macs(row, layer);
      continue;
    }
    if (derived_row.emplace(layer.weight, rows.name.size()).second) {
      rows.add(layer.name, layer.name, layer.kind, layer.numel, layer.kept, layer.trained, layer.nonzero,
               merged[i].bits);
    }
    rows.add_macs(derived_row.at(layer.weight), layer);
  }
  return std::move(rows).table();
}

}  // namespace

Accounting account(const Model& dense, const Model& edited, const ParamStore& params, LayerWeights effective) {
  if (params.size() != edited.params.size()) fail(ErrorKind::Internal, "accounting: the store is of another model");
  Accounting result{.layers = count_layers(edited), .summary = {}, .table = {}};
  measure(result.layers, params, effective);

  std::set<std::string> dense_layers;
  const std::vector<LayerCount> dense_counts = count_layers(dense);
  for (const LayerCount& layer : dense_counts) dense_layers.insert(layer.name);

  std::set<ParamId> in_layers;  // parameters that are counted by the weights made from them
  std::set<ValueId> seen;
  std::int64_t nonzero_prunable = 0, nonzero_all = 0, dead = 0;
  std::vector<MergedCount> merged(result.layers.size());
  for (std::size_t i = 0; i < result.layers.size(); ++i) {
    const LayerCount& layer = result.layers[i];
    in_layers.insert(layer.leaves.begin(), layer.leaves.end());
    if (layer.derived) merged[i] = count_merged(layer, effective[i].values, params);
    if (!seen.insert(layer.weight).second) continue;
    nonzero_all += layer.nonzero;
    if (!layer.prunable && dense_layers.count(layer.name) == 0) continue;
    nonzero_prunable += layer.nonzero;
    dead += layer.nonzero == 0 && layer.trained == 0;
  }

  std::vector<LeafCount> leaves;
  std::int64_t trained = 0;
  for (std::size_t i = 0; i < params.size(); ++i) {
    if (edited.params[i].retired) continue;
    leaves.push_back(count_leaf(params, ParamId(i)));
    const LeafCount& leaf = leaves.back();
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
  const auto real = [](std::int64_t count) { return static_cast<double>(count); };
  const StoredSize stored = stored_size(result.layers, merged, leaves, params.size());
  const double bits = real(stored.bits()), dense_bits = 32 * real(total);
  const double density = ratio(real(nonzero_prunable), real(prunable));
  const double macs = macs_dense(dense_counts), sparse = macs_sparse(result.layers);
  result.summary = {{"params.total", real(total)},
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
  if (sparse > 0) result.summary["speedup.theoretical"] = macs / sparse;  // unbounded for an empty network
  result.table = layer_table(result.layers, merged, leaves, params);
  return result;
}

}  // namespace winnow
