#include "experiments/methods/toolkit/weight_groups.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.h"
#include "core/op.h"
#include "experiments/methods/toolkit/regions.h"

namespace winnow {
namespace {

struct WeightOfLayer {
  Layer layer;
  ParamId id;
  std::int64_t out, in, taps;  // extents of the weight; taps of a filter and channel
  bool divided;                // a convolution in groups of channels
  bool first, last;            // no other layer lies before it, behind it
};

// By node: does another layer lie before it? And behind it?
std::pair<std::vector<char>, std::vector<char>> neighbours(const Graph& graph, ValueId logits,
                                                           const std::vector<char>& computed) {
  const std::vector<NodeId> order = graph.schedule(std::vector{logits});
  std::vector<char> before(graph.node_count(), 0), behind(graph.node_count(), 0);
  std::vector<char> fed(graph.value_count(), 0), read(graph.value_count(), 0);  // by a layer, at whatever distance
  const auto is_layer = [&](const Node& node) {
    return find_op(node.op).role == OpRole::Layer && computed[static_cast<std::size_t>(node.in[0])] != 0;
  };
  const auto any = [](const std::vector<ValueId>& ids, const std::vector<char>& flags) {
    return std::ranges::any_of(ids,
                               [&](ValueId id) { return id != kNoValue && flags[static_cast<std::size_t>(id)] != 0; });
  };
  for (const NodeId at : order) {
    const Node& node = graph.nodes()[at];
    before[at] = any(node.in, fed) ? 1 : 0;
    for (const ValueId id : node.out) fed[static_cast<std::size_t>(id)] = before[at] != 0 || is_layer(node) ? 1 : 0;
  }
  for (auto at = order.rbegin(); at != order.rend(); ++at) {
    const Node& node = graph.nodes()[*at];
    behind[*at] = any(node.out, read) ? 1 : 0;
    if (behind[*at] == 0 && !is_layer(node)) continue;
    for (const ValueId id : node.in) {
      if (id != kNoValue) read[static_cast<std::size_t>(id)] = 1;
    }
  }
  return {before, behind};
}

std::vector<WeightOfLayer> weights_of(const GraphEditor& editor) {
  const Model& model = editor.model();
  const auto [before, behind] = neighbours(model.graph, model.logits, activations(model));
  std::vector<WeightOfLayer> found;
  std::set<ParamId> seen;  // layers may share a weight
  for (const Layer& layer : editor.layers()) {
    const Shape& shape = model.graph.value(layer.weight).shape;
    if (!editor.is_param(layer.weight)) {
      fail(ErrorKind::Settings,
           "method.name: the weight of layer '{}' is derived from other parameters, and groups "
           "of weights are those that a layer reads as they are",
           layer.name);
    }
    const ParamId id = editor.owner(layer.weight);
    if (!model.param(id).prunable || !seen.insert(id).second) continue;
    const Node& node = model.graph.nodes()[layer.node];
    found.push_back({layer, id, shape[0], shape[1], shape.numel() / (shape[0] * shape[1]),
                     layer.convolution && node.attrs.integer("groups", 1) > 1, before[layer.node] == 0,
                     behind[layer.node] == 0});
  }
  return found;
}

template <class Visit>
void each_entry(const WeightGroups& groups, std::size_t tensor, std::size_t numel, const Visit& visit) {
  const std::int64_t inner = groups.inner[tensor];
  for (std::size_t i = 0; i < numel; ++i) {
    visit(i, static_cast<std::size_t>(static_cast<std::int64_t>(i) / inner % groups.groups));
  }
}

}  // namespace

std::vector<WeightGroups> filter_groups(const GraphEditor& editor) {
  std::vector<WeightGroups> found;
  for (const WeightOfLayer& w : weights_of(editor)) {
    if (!w.last) found.push_back({{w.id}, {w.in * w.taps}, w.out, w.in * w.taps});
  }
  return found;
}

std::vector<WeightGroups> channel_groups(const GraphEditor& editor) {
  std::vector<WeightGroups> found;
  for (const WeightOfLayer& w : weights_of(editor)) {
    if (!w.first && !w.divided) found.push_back({{w.id}, {w.taps}, w.in, w.out * w.taps});
  }
  return found;
}

std::vector<WeightGroups> shape_groups(const GraphEditor& editor) {
  std::vector<WeightGroups> found;
  for (const WeightOfLayer& w : weights_of(editor)) {
    if (w.layer.convolution && !w.divided) found.push_back({{w.id}, {1}, w.in * w.taps, w.out});
  }
  return found;
}

std::vector<WeightGroups> branch_groups(const GraphEditor& editor) {
  const Model& model = editor.model();
  const std::vector<WeightOfLayer> weights = weights_of(editor);
  std::vector<WeightGroups> found;
  std::set<ValueId> ends;  // a stage of one block is that block
  for (const Region& region : model.regions) {
    const auto end = branch_end(model.graph, region);
    if (!end || !ends.insert(*end).second) continue;
    const std::set<NodeId> nodes = layers_between(model.graph, region.in, *end);
    WeightGroups branch{.groups = 1};
    for (const WeightOfLayer& w : weights) {
      if (!nodes.contains(w.layer.node)) continue;
      const std::int64_t numel = w.out * w.in * w.taps;
      branch.tensors.push_back(w.id);
      branch.inner.push_back(numel);
      branch.size += numel;
    }
    if (!branch.tensors.empty()) found.push_back(std::move(branch));
  }
  return found;
}

std::vector<double> norms_of(const ParamStore& params, const WeightGroups& groups) {
  std::vector<double> norms(static_cast<std::size_t>(groups.groups), 0.0);
  for (std::size_t t = 0; t < groups.tensors.size(); ++t) {
    const auto weight = params.weight(groups.tensors[t]);
    each_entry(groups, t, weight.size(), [&](std::size_t i, std::size_t group) {
      norms[group] += static_cast<double>(weight[i]) * static_cast<double>(weight[i]);
    });
  }
  for (double& norm : norms) norm = std::sqrt(norm);
  return norms;
}

void zero_groups(ParamStore& params, const WeightGroups& groups, std::span<const char> chosen) {
  for (std::size_t t = 0; t < groups.tensors.size(); ++t) {
    const auto weight = params.change(groups.tensors[t]);
    const auto train = params.mask(groups.tensors[t], MaskKind::Trainable);
    each_entry(groups, t, weight.size(), [&](std::size_t i, std::size_t group) {
      if (chosen[group] != 0 && (train.empty() || train[i] != 0)) weight[i] = 0;
    });
  }
}

}  // namespace winnow
