#include "core/fit_channels.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "core/ops/conv_shape.h"
#include "kernels/cuda/layers.h"

namespace winnow {
namespace {

// In how many channels this node wants `x`, which it reads; 0 where it may not have more than there are.
std::int64_t wanted_by(const Graph& graph, const Node& node, ValueId x) {
  const bool is_forward = node.op == "conv2d";
  if (!is_forward && node.op != "conv2d_backward_weights") return 0;
  if (node.in[0] != x || std::ranges::count(node.in, x) > 1) return 0;
  const Shape& weights = graph.value(is_forward ? node.in[1] : node.out[0]).shape;
  const ValueInfo& info = graph.value(x);
  return cuda::wanted_channels(ops::conv_shape(info.shape, weights, node.attrs, info.dtype, false));
}

}  // namespace

void fit_channels(Graph& graph, std::span<const ValueId> outputs) {
  const std::vector<NodeId> order = graph.schedule(outputs);
  bool is_changed = false;
  for (const NodeId at : order) {
    const Node& cast = graph.nodes()[at];
    if (cast.op != "cast" || std::ranges::find(outputs, cast.out[0]) != outputs.end()) continue;
    const ValueId x = cast.out[0];
    const ValueInfo info = graph.value(x);
    if (graph.value(cast.in[0]).dtype != DType::F32 || info.dtype != DType::BF16 || info.shape.rank() != 4) continue;
    std::vector<NodeId> readers;
    std::ranges::copy_if(order, std::back_inserter(readers), [&](NodeId reader) {
      return std::ranges::find(graph.nodes()[reader].in, x) != graph.nodes()[reader].in.end();
    });
    const auto wanted_by_reader = [&](NodeId reader) { return wanted_by(graph, graph.nodes()[reader], x); };
    const std::int64_t wanted = wanted_by_reader(readers.front());
    const bool all_alike = std::ranges::all_of(readers, [&](NodeId one) { return wanted_by_reader(one) == wanted; });
    if (!all_alike || wanted <= info.shape[3]) continue;
    is_changed = true;
    graph.node(at).attrs.set("channels", wanted);
    for (const NodeId reader : readers) graph.node(reader).attrs.set("in_channels", info.shape[3]);
  }
  if (is_changed) graph.resize({}, outputs);
}

}  // namespace winnow
