#include "core/network_view.h"

#include <algorithm>

#include "core/error.h"
#include "core/op.h"

namespace winnow {
namespace {

// By value: does it depend on any of `sources`? `order` is a schedule.
std::vector<char> downstream(const Graph& graph, const std::vector<NodeId>& order,
                             std::initializer_list<ValueId> sources) {
  std::vector<char> reached(graph.value_count(), 0);
  for (const ValueId id : sources) reached[static_cast<std::size_t>(id)] = 1;
  for (const NodeId at : order) {
    const Node& node = graph.nodes()[at];
    const bool any = std::any_of(node.in.begin(), node.in.end(), [&](ValueId id) {
      return id != kNoValue && reached[static_cast<std::size_t>(id)] != 0;
    });
    if (!any) continue;
    for (const ValueId id : node.out) reached[static_cast<std::size_t>(id)] = 1;
  }
  return reached;
}

}  // namespace

std::vector<char> activations(const Model& model) {
  return downstream(model.graph, model.graph.schedule(std::vector{model.logits}), {model.input});
}

std::vector<Layer> NetworkView::layers() const {
  const Graph& graph = network_.graph;
  const std::vector<char> computed = activations(network_);
  std::vector<Layer> found;
  for (const NodeId at : graph.schedule(std::vector{network_.logits})) {
    const Node& node = graph.nodes()[at];
    // The same ops inside the derivation of a weight are not layers.
    if (find_op(node.op).role != OpRole::Layer || computed[static_cast<std::size_t>(node.in[0])] == 0) continue;
    const bool convolution = graph.value(node.in[1]).shape.rank() == 4;
    found.push_back({at, node.name, convolution, node.in[0], node.out[0], node.in[1]});
  }
  return found;
}

std::vector<ParamId> NetworkView::prunable() const {
  std::vector<ParamId> found;
  for (std::size_t i = 0; i < network_.params.size(); ++i) {
    if (network_.params[i].prunable && !network_.params[i].retired) found.push_back(ParamId(i));
  }
  return found;
}

ParamId NetworkView::owner(ValueId leaf) const {
  for (std::size_t i = 0; i < network_.params.size(); ++i) {
    if (network_.params[i].value == leaf) return ParamId(i);
  }
  fail(ErrorKind::Internal, "value '{}' is not the leaf of a parameter",
       leaf == kNoValue ? "none" : network_.graph.value(leaf).name);
}

bool NetworkView::is_param(ValueId value) const {
  return std::any_of(network_.params.begin(), network_.params.end(),
                     [&](const ParamSpec& spec) { return spec.value == value; });
}

std::vector<ParamId> NetworkView::leaves(ValueId value) const {
  std::vector<ParamId> found;
  const auto visit = [&](ValueId id) {
    if (is_param(id)) found.push_back(owner(id));
  };
  visit(value);
  if (network_.graph.producer(value) == nullptr) return found;
  for (const NodeId at : network_.graph.schedule(std::vector{value})) {
    for (const ValueId id : network_.graph.nodes()[at].in) visit(id);
  }
  std::ranges::sort(found);
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

}  // namespace winnow
