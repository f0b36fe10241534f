#include "experiments/methods/toolkit/regions.h"

#include <algorithm>
#include <vector>

#include "core/op.h"

namespace winnow {

std::set<NodeId> layers_between(const Graph& graph, ValueId from, ValueId to) {
  std::vector<char> reached(graph.value_count(), 0);
  reached[static_cast<std::size_t>(from)] = 1;
  std::set<NodeId> found;
  for (const NodeId at : graph.schedule(std::vector{to})) {
    const Node& node = graph.nodes()[at];
    const bool on_path = std::ranges::any_of(
        node.in, [&](ValueId id) { return id != kNoValue && reached[static_cast<std::size_t>(id)] != 0; });
    if (!on_path) continue;
    for (const ValueId id : node.out) reached[static_cast<std::size_t>(id)] = 1;
    if (find_op(node.op).role == OpRole::Layer) found.insert(at);
  }
  return found;
}

std::optional<ValueId> branch_end(const Graph& graph, const Region& region) {
  const Node* node = graph.producer(region.out);
  while (node != nullptr && find_op(node->op).role == OpRole::Activation) node = graph.producer(node->in[0]);
  if (node == nullptr || node->op != "add") return std::nullopt;
  const std::size_t first = layers_between(graph, region.in, node->in[0]).size();
  const std::size_t second = layers_between(graph, region.in, node->in[1]).size();
  if (std::min(first, second) > 1) return std::nullopt;
  return node->in[first >= second ? 0 : 1];
}

}  // namespace winnow
