#include "core/passes.h"

#include <algorithm>

#include "core/op.h"

namespace winnow {
namespace {

constexpr NodeId kNoNode = 0xffffffffu;

// For passes that ask for every value: who reads it for the sake of `outputs`. Nodes without that do not count.
class Readers {
 public:
  Readers(const Graph& graph, std::span<const ValueId> outputs) : count_(graph.value_count(), 0), last_(count_.size()) {
    for (const NodeId at : graph.schedule(outputs)) {
      for (const ValueId id : graph.nodes()[at].in) {
        if (id == kNoValue) continue;
        ++count_[static_cast<std::size_t>(id)];
        last_[static_cast<std::size_t>(id)] = at;
      }
    }
    for (const ValueId id : outputs) count_[static_cast<std::size_t>(id)] += 2;  // someone else as well
  }
  NodeId only(ValueId id) const {
    return count_[static_cast<std::size_t>(id)] == 1 ? last_[static_cast<std::size_t>(id)] : kNoNode;
  }
  // The only reader of `id` has gone; those of `result`, which it gave, read `id` now. What else it read, `heir` reads.
  void inherit(ValueId id, ValueId result, ValueId other, NodeId heir) {
    const auto at = static_cast<std::size_t>(id), from = static_cast<std::size_t>(result);
    count_[at] = count_[from];
    last_[at] = last_[from];
    if (other != kNoValue) last_[static_cast<std::size_t>(other)] = heir;
  }

 private:
  std::vector<int> count_;
  std::vector<NodeId> last_;
};

// Lets the batch norm at `norm` do the work of its only reader, if that is an add or a relu it can do.
bool absorb_reader(Graph& graph, NodeId norm, std::span<const ValueId> outputs, Readers& readers) {
  const Node& node = graph.nodes()[norm];
  const ValueId y = node.out[0];
  const NodeId at = readers.only(y);
  if (at == kNoNode || node.attrs.integer("relu", 0) != 0) return false;
  const Node& reader = graph.nodes()[at];
  const ValueId result = reader.out[0];
  if (std::find(outputs.begin(), outputs.end(), result) != outputs.end()) return false;
  const bool has_residual = node.in.size() > 5 && node.in[5] != kNoValue;
  ValueId other = kNoValue;
  if (reader.op == "relu") {
    graph.node(norm).attrs.set("relu", std::int64_t{1});
  } else if (reader.op == "add" && !has_residual) {
    other = reader.in[reader.in[0] == y ? 1 : 0];
    const std::vector<NodeId> before = graph.schedule(std::span(&other, 1));
    if (std::find(before.begin(), before.end(), norm) != before.end()) return false;
    graph.node(norm).in.resize(6, kNoValue);
    graph.node(norm).in[5] = other;
  } else {
    return false;
  }
  readers.inherit(y, result, other, norm);
  graph.redirect(result, y, graph.node_count());
  return true;
}

bool sums_come_along(const Graph& graph, NodeId at, Device device) {
  const Node& node = graph.nodes()[at];
  const OpDef& op = find_op(node.op);
  if (!op.sums_come_along) return false;
  std::vector<ValueInfo> in, out;
  for (const ValueId id : node.in) in.push_back(id == kNoValue ? ValueInfo{} : graph.value(id));
  for (const ValueId id : node.out) out.push_back(graph.value(id));
  return op.sums_come_along({.node = node, .in = in, .out = out, .threads = 1, .reals = nullptr, .device = device});
}

}  // namespace

void set_norm_statistics(Graph& graph, NormStatistics statistics) {
  for (NodeId i = 0; i < graph.node_count(); ++i) {
    if (!find_op(graph.nodes()[i].op).mixes_examples) continue;
    graph.node(i).attrs.set("running", std::int64_t{statistics == NormStatistics::Running});
  }
}

void set_norm_momentum(Graph& graph, double momentum) {
  for (NodeId i = 0; i < graph.node_count(); ++i) {
    if (graph.nodes()[i].op == "batch_norm") graph.node(i).attrs.set("momentum", momentum);
  }
}

void drop_train_only(Graph& graph, std::span<ValueId> outputs) {
  for (NodeId i = 0; i < graph.node_count(); ++i) {
    const Node& node = graph.nodes()[i];
    if (!find_op(node.op).train_only) continue;
    const ValueId in = node.in[0], out = node.out[0];
    std::replace(outputs.begin(), outputs.end(), out, in);
    graph.redirect(out, in, graph.node_count());
  }
}

void fuse_norm(Graph& graph, std::span<const ValueId> outputs) {
  Readers readers(graph, outputs);
  for (NodeId i = 0; i < graph.node_count(); ++i) {
    if (graph.nodes()[i].op != "batch_norm") continue;
    while (absorb_reader(graph, i, outputs, readers)) {
    }
  }
}

FusedStatistics fuse_statistics(Graph& graph, std::span<const ValueId> outputs, Device device) {
  constexpr std::size_t kSums = 6;  // input of batch_norm
  FusedStatistics found;
  const Readers readers(graph, outputs);
  for (const NodeId at : graph.schedule(outputs)) {
    if (graph.nodes()[at].op != "batch_norm" || graph.nodes()[at].attrs.integer("running", 0) != 0) continue;
    ++found.norms;
    const ValueId x = graph.nodes()[at].in[0];
    const Node* producer = graph.producer(x);
    if (producer == nullptr || readers.only(x) != at) continue;
    const auto layer = static_cast<NodeId>(producer - graph.nodes().data());
    if (!sums_come_along(graph, layer, device)) continue;
    const ValueId sums = graph.extend(layer, "sums", std::int64_t{1}).back();
    graph.node(at).in.resize(kSums, kNoValue);
    graph.node(at).in.push_back(sums);
    ++found.fused;
  }
  return found;
}

void fuse_gradient_sums(Graph& graph, std::span<const ValueId> outputs) {
  constexpr std::size_t kMore = 7, kPlus = 8;  // inputs of batch_norm_backward
  const Readers readers(graph, outputs);
  for (const NodeId at : graph.schedule(outputs)) {
    if (graph.nodes()[at].op != "batch_norm_backward") continue;
    const Node* sum = graph.producer(graph.nodes()[at].in[0]);
    if (sum != nullptr && sum->op == "add" && readers.only(sum->out[0]) == at) {
      const ValueId one = sum->in[0], other = sum->in[1];
      graph.node(at).in[0] = one;
      graph.node(at).in.resize(kMore, kNoValue);
      graph.node(at).in.push_back(other);
    }
    const ValueId dx = graph.nodes()[at].out[0];
    const NodeId reader = readers.only(dx);
    if (reader == kNoNode || graph.nodes()[reader].op != "add") continue;
    const Node& add = graph.nodes()[reader];
    const ValueId result = add.out[0], other = add.in[add.in[0] == dx ? 1 : 0];
    // The sum's readers become those of dx: the sum must not be kept where it is, and `other` must not wait for this node.
    if (std::ranges::find(outputs, result) != outputs.end()) continue;
    const std::vector<NodeId> before = graph.schedule(std::span(&other, 1));
    if (std::ranges::find(before, at) != before.end()) continue;
    graph.node(at).in.resize(kPlus, kNoValue);
    graph.node(at).in.push_back(other);
    graph.redirect(result, dx, graph.node_count());
  }
}

void fuse_relu(Graph& graph, std::span<const ValueId> outputs) {
  const Readers readers(graph, outputs);
  for (const NodeId at : graph.schedule(outputs)) {
    const Node& node = graph.nodes()[at];
    if (node.op != "conv2d" || node.in.size() != 3 || node.in[2] == kNoValue) continue;
    const Shape& weights = graph.value(node.in[1]).shape;
    if (weights[2] * weights[3] == 1) continue;
    const ValueId y = node.out[0];
    const NodeId reader = readers.only(y);
    if (reader == kNoNode || graph.nodes()[reader].op != "relu") continue;
    const ValueId result = graph.nodes()[reader].out[0];
    if (std::ranges::find(outputs, result) != outputs.end()) continue;
    graph.node(at).attrs.set("relu", std::int64_t{1});
    graph.redirect(result, y, graph.node_count());
  }
}

}  // namespace winnow
