#include "core/graph.h"

#include <algorithm>
#include <queue>

#include "core/error.h"
#include "core/op.h"

namespace winnow {
namespace {

std::size_t index(ValueId id) { return static_cast<std::size_t>(id); }

}  // namespace

ValueId Graph::input(std::string name, const Shape& shape, DType dtype) {
  values_.push_back({shape, dtype, std::move(name)});
  producer_.push_back(-1);
  return ValueId(values_.size() - 1);
}

// The outputs by the op's shape rule.
std::vector<ValueInfo> Graph::inferred(std::string_view op, std::string_view name, std::span<const ValueId> in,
                                       const Attrs& attrs) const {
  const OpDef& def = find_op(op);
  std::vector<ValueInfo> infos;
  for (const ValueId id : in) infos.push_back(id == kNoValue ? ValueInfo{} : value(id));
  try {
    return def.infer(infos, attrs);
  } catch (const Error& error) {
    std::string shapes;
    for (std::size_t i = 0; i < in.size(); ++i) {
      shapes += i == 0 ? "" : ", ";
      shapes += in[i] == kNoValue ? "none" : infos[i].shape.text() + " " + name_of(infos[i].dtype);
    }
    fail(error.kind(), "node '{}' ({} of {}): {}", name, op, shapes, error.what());
  }
}

std::vector<ValueId> Graph::emit(std::string_view op, std::vector<ValueId> in, Attrs attrs, std::string name) {
  attrs.fill_in(find_op(op).defaults);
  std::vector<ValueInfo> outputs = inferred(op, name, in, attrs);
  nodes_.push_back({std::string(op), std::move(name), std::move(in), {}, std::move(attrs)});
  add_outputs(node_count() - 1, std::move(outputs));
  return nodes_.back().out;
}

std::vector<ValueId> Graph::extend(NodeId id, std::string attr, Attr value) {
  Node& node = nodes_.at(id);
  node.attrs.set(std::move(attr), std::move(value));
  add_outputs(id, inferred(node.op, node.name, node.in, node.attrs));
  return nodes_[id].out;
}

// Values for those outputs that the node has not yet.
void Graph::add_outputs(NodeId id, std::vector<ValueInfo> outputs) {
  Node& node = nodes_[id];
  for (std::size_t i = node.out.size(); i < outputs.size(); ++i) {
    ValueInfo& out = outputs[i];
    if (out.name.empty()) out.name = i == 0 ? node.name : fmt::format("{}:{}", node.name, i);
    values_.push_back(std::move(out));
    producer_.push_back(id);
    node.out.push_back(ValueId(values_.size() - 1));
  }
}

ValueId Graph::emit1(std::string_view op, std::vector<ValueId> in, Attrs attrs, std::string name) {
  return emit(op, std::move(in), std::move(attrs), std::move(name)).front();
}

ValueId Graph::constant(double value, const Shape& shape, std::string name) {
  const std::vector<std::int64_t> extents(shape.begin(), shape.end());
  return emit1("fill", {}, {{"value", value}, {"shape", extents}}, std::move(name));
}

ValueId Graph::scaled(ValueId value, double factor, const std::string& name) {
  return emit1("scale_by", {value, constant(factor, {}, name + "/factor")}, {}, name);
}

void Graph::redirect(ValueId from, ValueId to, NodeId before) {
  const ValueInfo &a = value(from), &b = value(to);
  if (a.shape != b.shape || a.dtype != b.dtype) {
    fail(ErrorKind::Internal, "cannot put '{}' ({} {}) in the place of '{}' ({} {})", b.name, b.shape.text(),
         name_of(b.dtype), a.name, a.shape.text(), name_of(a.dtype));
  }
  for (NodeId i = 0; i < before; ++i) std::replace(nodes_[i].in.begin(), nodes_[i].in.end(), from, to);
}

void Graph::resize(std::span<const std::pair<ValueId, Shape>> leaves, std::span<const ValueId> outputs) {
  for (const auto& [leaf, shape] : leaves) values_.at(index(leaf)).shape = shape;
  for (const NodeId at : schedule(outputs)) {
    const Node& node = nodes_[at];
    const std::vector<ValueInfo> infos = inferred(node.op, node.name, node.in, node.attrs);
    for (std::size_t i = 0; i < infos.size(); ++i) values_[index(node.out[i])].shape = infos[i].shape;
  }
}

bool Graph::same_but_reals(const Graph& other) const {
  return values_ == other.values_ && producer_ == other.producer_ &&
         std::ranges::equal(nodes_, other.nodes_, [](const Node& a, const Node& b) {
           return a.op == b.op && a.name == b.name && a.in == b.in && a.out == b.out && a.attrs.same_but_reals(b.attrs);
         });
}

const Node* Graph::producer(ValueId id) const {
  const std::int64_t at = producer_.at(index(id));
  return at < 0 ? nullptr : &nodes_[static_cast<std::size_t>(at)];
}

std::vector<NodeId> Graph::readers(ValueId id) const {
  std::vector<NodeId> found;
  for (NodeId i = 0; i < node_count(); ++i) {
    if (std::find(nodes_[i].in.begin(), nodes_[i].in.end(), id) != nodes_[i].in.end()) found.push_back(i);
  }
  return found;
}

std::vector<NodeId> Graph::schedule(std::span<const ValueId> outputs) const {
  std::vector<char> needed(nodes_.size(), 0);
  std::vector<NodeId> stack;
  const auto need = [&](ValueId id) {
    const std::int64_t at = id == kNoValue ? -1 : producer_.at(index(id));
    if (at >= 0 && !needed[static_cast<std::size_t>(at)]) {
      needed[static_cast<std::size_t>(at)] = 1;
      stack.push_back(static_cast<NodeId>(at));
    }
  };
  for (const ValueId id : outputs) need(id);
  while (!stack.empty()) {
    const NodeId at = stack.back();
    stack.pop_back();
    for (const ValueId id : nodes_[at].in) need(id);
  }
  // Most graphs have every node behind its producers, and then that is the order.
  std::vector<NodeId> in_place;
  for (NodeId i = 0; i < node_count(); ++i) {
    if (!needed[i]) continue;
    const auto comes_before = [&](ValueId id) { return id == kNoValue || producer_[index(id)] < std::int64_t{i}; };
    if (!std::ranges::all_of(nodes_[i].in, comes_before)) return sorted(needed);
    in_place.push_back(i);
  }
  return in_place;
}

// Kahn's algorithm with the smallest position first.
std::vector<NodeId> Graph::sorted(const std::vector<char>& needed) const {
  std::vector<int> waiting(nodes_.size(), 0);
  std::vector<std::vector<NodeId>> feeds(nodes_.size());
  std::priority_queue<NodeId, std::vector<NodeId>, std::greater<>> ready;
  std::size_t count = 0;
  for (NodeId i = 0; i < node_count(); ++i) {
    if (!needed[i]) continue;
    ++count;
    for (const ValueId id : nodes_[i].in) {
      const std::int64_t at = id == kNoValue ? -1 : producer_[index(id)];
      if (at < 0) continue;
      feeds[static_cast<std::size_t>(at)].push_back(i);
      ++waiting[i];
    }
    if (waiting[i] == 0) ready.push(i);
  }
  std::vector<NodeId> order;
  while (!ready.empty()) {
    const NodeId at = ready.top();
    ready.pop();
    order.push_back(at);
    for (const NodeId next : feeds[at]) {
      if (--waiting[next] == 0) ready.push(next);
    }
  }
  if (order.size() != count) fail(ErrorKind::Internal, "the graph has a cycle");
  return order;
}

}  // namespace winnow
