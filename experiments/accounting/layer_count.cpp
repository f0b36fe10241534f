#include "experiments/accounting/layer_count.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "core/error.h"
#include "core/network_view.h"
#include "core/op.h"

namespace winnow {
namespace {

std::int64_t macs_of(const Graph& graph, const Node& node) {
  std::vector<ValueInfo> in, out;
  for (const ValueId id : node.in) in.push_back(id == kNoValue ? ValueInfo{} : graph.value(id));
  for (const ValueId id : node.out) out.push_back(graph.value(id));
  return find_op(node.op).macs(in, out, node.attrs);
}

// Follows a derivation back to its leaf for as long as zeros of the leaf are zeros of the weight.
void find_zeros(const NetworkView& view, const Graph& graph, LayerCount& layer) {
  ValueId value = layer.weight;
  while (!view.is_param(value)) {
    const Node& node = *graph.producer(value);
    const OpDef& op = find_op(node.op);
    if (op.most_nonzero) {
      layer.most_nonzero = std::min(layer.most_nonzero, op.most_nonzero(graph.value(value), node.attrs));
    }
    layer.makes_zeros |= op.makes_zeros;
    if (op.keeps_zeros_of < 0) return;
    value = node.in[static_cast<std::size_t>(op.keeps_zeros_of)];
  }
  layer.zeros_of = view.owner(value);
}

}  // namespace

std::vector<LayerCount> count_layers(const Model& model) {
  const NetworkView view(model);
  const std::int64_t batch = model.graph.value(model.input).shape[0];
  std::vector<LayerCount> counts;
  for (const Layer& layer : view.layers()) {
    const Node& node = model.graph.nodes()[layer.node];
    LayerCount count{.name = layer.name, .kind = node.op, .weight = layer.weight};
    count.leaves = view.leaves(layer.weight);
    count.derived = !view.is_param(layer.weight);
    count.prunable =
        std::any_of(count.leaves.begin(), count.leaves.end(), [&](ParamId id) { return model.param(id).prunable; });
    count.numel = model.graph.value(layer.weight).shape.numel();
    count.macs = macs_of(model.graph, node) / batch;
    count.kept = count.trained = count.nonzero = count.most_nonzero = count.numel;
    if (count.derived) {
      find_zeros(view, model.graph, count);
      count.dense_gradient = !count.zeros_of || !is_trained(model.param(*count.zeros_of));
    }
    counts.push_back(std::move(count));
  }
  return counts;
}

void measure(std::vector<LayerCount>& layers, std::span<const ParamSpec> specs, const EntryCounts& entries) {
  for (LayerCount& layer : layers) {
    layer.kept = layer.trained = 0;
    for (const ParamId id : layer.leaves) {
      const auto at = static_cast<std::size_t>(id);
      // Scores, bases and coefficients of a derivation have rows of their own.
      if (!layer.derived || specs[at].prunable) layer.kept += entries[at].kept;
      const bool counts = !layer.derived || layer.dense_gradient || id == *layer.zeros_of;
      if (counts && is_trained(specs[at])) layer.trained += entries[at].live;
    }
    layer.nonzero = layer.zeros_of  ? entries[static_cast<std::size_t>(*layer.zeros_of)].kept
                    : layer.derived ? layer.numel
                                    : layer.kept;
    layer.nonzero = std::min(layer.nonzero, layer.most_nonzero);
  }
}

namespace {

void require_weights_of(const std::vector<LayerCount>& layers, std::span<const TrainState::LayerWeight> effective) {
  if (effective.size() != layers.size()) {
    fail(ErrorKind::Internal, "{} effective weights for {} layers", effective.size(), layers.size());
  }
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (effective[i].layer != layers[i].name) {
      fail(ErrorKind::Internal, "effective weight of '{}' in the place of '{}'", effective[i].layer, layers[i].name);
    }
  }
}

}  // namespace

void measure(std::vector<LayerCount>& layers, std::span<const ParamSpec> specs, const EntryCounts& entries,
             std::span<const TrainState::LayerWeight> effective) {
  measure(layers, specs, entries);
  require_weights_of(layers, effective);
  for (std::size_t i = 0; i < layers.size(); ++i) layers[i].nonzero = count_nonzero(effective[i].values);
}

void measure_made_zeros(std::vector<LayerCount>& layers, std::span<const TrainState::LayerWeight> effective) {
  require_weights_of(layers, effective);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (!layers[i].makes_zeros) continue;
    layers[i].nonzero = std::min(layers[i].nonzero, count_nonzero(effective[i].values));
    layers[i].trained = std::min(layers[i].trained, layers[i].nonzero);
  }
}

namespace {

// By value: does the reverse pass come to it, since it depends on a parameter that is trained and does not rest?
std::vector<char> reversed_values(const Model& model, std::span<const ParamId> resting) {
  std::vector<char> reached(model.graph.value_count(), 0);
  for (std::size_t p = 0; p < model.params.size(); ++p) {
    const ParamSpec& spec = model.params[p];
    const bool trained = spec.trainable && !spec.retired && std::ranges::find(resting, ParamId(p)) == resting.end();
    reached[static_cast<std::size_t>(spec.value)] = trained ? 1 : 0;
  }
  for (const NodeId at : model.graph.schedule(std::vector{model.logits})) {
    const Node& node = model.graph.nodes()[at];
    const bool any = std::ranges::any_of(
        node.in, [&](ValueId id) { return id != kNoValue && reached[static_cast<std::size_t>(id)] != 0; });
    for (const ValueId id : node.out) reached[static_cast<std::size_t>(id)] = any && find_op(node.op).reverse ? 1 : 0;
  }
  return reached;
}

}  // namespace

void mark_reversed(std::vector<LayerCount>& layers, const Model& model, std::span<const ParamId> resting) {
  const std::vector<char> reached = resting.empty() ? std::vector<char>() : reversed_values(model, resting);
  std::map<std::string, ValueId> out;
  for (const Node& node : model.graph.nodes()) {
    if (find_op(node.op).role == OpRole::Layer) out[node.name] = node.out[0];
  }
  for (LayerCount& layer : layers) {
    layer.reversed = reached.empty() || reached[static_cast<std::size_t>(out.at(layer.name))] != 0;
    layer.rests = !layer.leaves.empty() && std::ranges::all_of(layer.leaves, [&](ParamId id) {
      return std::ranges::find(resting, id) != resting.end();
    });
  }
}

StepCost step_cost(std::span<const LayerCount> layers, bool dense_gradients) {
  StepCost cost;
  for (const LayerCount& layer : layers) {
    const auto macs = static_cast<double>(layer.macs);
    cost.forward += layer.macs_sparse();
    if (!layer.reversed) continue;
    cost.grad_activation += layer.macs_sparse();
    if (layer.rests || (layer.trained == 0 && !dense_gradients)) continue;
    const bool all = dense_gradients || layer.dense_gradient;
    cost.grad_weight += all ? macs : macs * static_cast<double>(layer.trained) / static_cast<double>(layer.numel);
  }
  return cost;
}

double macs_dense(std::span<const LayerCount> layers) {
  return std::accumulate(layers.begin(), layers.end(), 0.0,
                         [](double sum, const LayerCount& layer) { return sum + static_cast<double>(layer.macs); });
}

namespace {

// Each node's multiply-adds times times(node).
template <class Times>
double sum_of_products(const Model& model, const Times& times) {
  const std::vector<char> computed = activations(model);
  std::int64_t macs = 0;
  for (const NodeId at : model.graph.schedule(std::vector{model.logits})) {
    const Node& node = model.graph.nodes()[at];
    const OpDef& op = find_op(node.op);
    if (!op.macs || op.role == OpRole::Layer || computed[static_cast<std::size_t>(node.in[0])] == 0) continue;
    macs += times(node) * macs_of(model.graph, node);
  }
  const std::int64_t of_an_image = macs / model.graph.value(model.input).shape[0];  // a multiple of the rows
  return static_cast<double>(of_an_image);
}

}  // namespace

double macs_of_products(const Model& model) {
  return sum_of_products(model, [](const Node&) { return std::int64_t{1}; });
}

double macs_of_product_steps(const Model& model, std::span<const ParamId> resting) {
  if (resting.empty()) return 3 * macs_of_products(model);
  const std::vector<char> reached = reversed_values(model, resting);
  return sum_of_products(model, [&](const Node& node) {
    return std::int64_t{reached[static_cast<std::size_t>(node.out[0])] != 0 ? 3 : 1};
  });
}

double macs_sparse(std::span<const LayerCount> layers) {
  return std::accumulate(layers.begin(), layers.end(), 0.0,
                         [](double sum, const LayerCount& layer) { return sum + layer.macs_sparse(); });
}

}  // namespace winnow
