#include "experiments/accounting/accounting.h"

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace winnow {
namespace {

// Rows of the /layers table in the making.
struct Rows {
  std::vector<std::string> name, layer, kind, form;
  std::vector<std::int64_t> numel, kept, trained, nonzero, macs, dense, bitmask, index, seed, own, bits;
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
    own.push_back(size.own);
    bits.push_back(size.smallest());
    form.push_back(size.form());
  }
  // A weight that several layers share has the multiply-adds of all of them.
  void add_macs(std::size_t row, const LayerCount& count) {
    macs[row] += count.macs;
    macs_sparse[row] += count.macs_sparse();
  }

  Table table() && {
    const bool any_own = std::ranges::any_of(own, [](std::int64_t size) { return size >= 0; });
    Table made;
    made.columns = {
        {"name", std::move(name), "", "parameter; or layer, for a weight that is derived from parameters"},
        {"layer", std::move(layer), "", "layer that it belongs to"},
        {"kind", std::move(kind), "", "role of the parameter; conv2d or linear for the weight a layer computes with"},
        {"numel", std::move(numel), "count"},
        {"kept", std::move(kept), "count",
         "entries that no mask sets to zero; of a prunable tensor without a mask, those that are not zero"},
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
    if (any_own) {
      made.columns.push_back({"bits.own", std::move(own), "bit",
                              "the form of the method's own and which entries are kept; -1: it has none"});
    }
    return made;
  }
};

Table layer_table(const NetworkCount& count, const ParamStore& params) {
  Rows rows;
  std::map<ParamId, std::size_t> row_of;
  for (const LeafCount& leaf : count.leaves) {
    row_of[leaf.id] = rows.name.size();
    rows.add(leaf.spec->name, leaf.spec->layer, name_of(leaf.spec->role), leaf.stored.numel, leaf.stored.kept,
             leaf.trained, count_nonzero(params.weight(leaf.id)), leaf.bits);
  }
  std::map<ValueId, std::size_t> derived_row;
  for (std::size_t i = 0; i < count.layers.size(); ++i) {
    const LayerCount& layer = count.layers[i];
    if (!layer.derived) {
      const std::size_t row = row_of.at(layer.leaves.front());
      rows.kind[row] = layer.kind;
      rows.add_macs(row, layer);
      continue;
    }
    if (derived_row.emplace(layer.weight, rows.name.size()).second) {
      rows.add(layer.name, layer.name, layer.kind, layer.numel, layer.kept, layer.trained, layer.nonzero,
               count.merged[i].bits);
    }
    rows.add_macs(derived_row.at(layer.weight), layer);
  }
  return std::move(rows).table();
}

}  // namespace

Accounting account(const Model& dense, const Model& edited, const ParamStore& params,
                   std::span<const TrainState::LayerWeight> effective, const std::map<ParamId, Encoded>& encoded) {
  if (params.size() != edited.params.size()) fail(ErrorKind::Internal, "accounting: the store is of another model");
  NetworkCount count{.layers = count_layers(edited), .merged = {}, .leaves = {}};
  measure(count.layers, params.specs(), count_entries(params), effective);
  for (std::size_t i = 0; i < count.layers.size(); ++i) {
    const LayerCount& layer = count.layers[i];
    count.merged.push_back(layer.derived ? count_merged(layer, effective[i].values, params) : MergedCount{});
  }
  for (std::size_t i = 0; i < params.size(); ++i) {
    if (edited.params[i].retired) continue;
    count.leaves.push_back(count_leaf(params.specs()[i], ParamId(i), count_entry(params, ParamId(i))));
  }
  // A form has a code for every entry that no mask drops, be its value zero or not.
  for (const auto& [id, form] : encoded) count_own_form(count, id, params.count(id, MaskKind::Keep), form.bits);
  Accounting result{.layers = {}, .summary = summary_of(dense, edited, count), .table = layer_table(count, params)};
  result.layers = std::move(count.layers);
  return result;
}

}  // namespace winnow
