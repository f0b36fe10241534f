#include "core/autodiff.h"

#include <algorithm>

#include "core/error.h"
#include "core/op.h"

namespace winnow {
namespace {

class ReversePass final : public Reverse {
 public:
  ReversePass(Graph& graph, std::vector<char> wanted) : graph_(graph), wanted_(std::move(wanted)) {}

  Graph& graph() override { return graph_; }
  const Node& node() const override { return node_; }
  ValueId out_grad(std::size_t i) const override { return grad_of(node_.out.at(i)); }
  bool wants(std::size_t i) const override {
    const ValueId id = node_.in.at(i);
    return id != kNoValue && wanted_[static_cast<std::size_t>(id)] != 0;
  }
  void add(std::size_t i, ValueId grad) override {
    if (!wants(i)) return;
    const ValueId id = node_.in.at(i);
    if (graph_.value(id).shape != graph_.value(grad).shape) {
      fail(ErrorKind::Internal, "the gradient of input {} of node '{}' ({}) has shape {}, not {}", i, node_.name,
           node_.op, graph_.value(grad).shape.text(), graph_.value(id).shape.text());
    }
    ValueId& sum = grads_[static_cast<std::size_t>(id)];
    sum = sum == kNoValue ? grad : graph_.emit1("add", {sum, grad}, {}, graph_.value(id).name + "/grad");
  }
  ValueId grad_of(ValueId id) const { return grads_[static_cast<std::size_t>(id)]; }

  void seed(ValueId loss, ValueId one) {
    grads_.assign(wanted_.size(), kNoValue);
    grads_[static_cast<std::size_t>(loss)] = one;
  }
  void visit(const Node& node) {
    node_ = node;  // a copy: emitting moves the graph's nodes
    const bool reached =
        std::any_of(node.out.begin(), node.out.end(), [&](ValueId id) { return grad_of(id) != kNoValue; });
    const OpDef& op = find_op(node.op);
    if (reached && op.reverse) op.reverse(*this);
  }

 private:
  Graph& graph_;
  std::vector<char> wanted_;    // by value: does its gradient lead to a wanted leaf
  std::vector<ValueId> grads_;  // by value
  Node node_;
};

}  // namespace

std::vector<Gradient> differentiate(Graph& graph, ValueId loss, std::span<const ValueId> wanted) {
  if (graph.value(loss).shape.numel() != 1) {
    fail(ErrorKind::Internal, "cannot differentiate '{}' of shape {}: a loss has one element", graph.value(loss).name,
         graph.value(loss).shape.text());
  }
  const std::vector<NodeId> order = graph.schedule(std::span(&loss, 1));
  std::vector<char> leads(graph.value_count(), 0);
  for (const ValueId id : wanted) leads[static_cast<std::size_t>(id)] = 1;
  for (const NodeId at : order) {
    const Node& node = graph.nodes()[at];
    const bool any = std::any_of(node.in.begin(), node.in.end(), [&](ValueId id) {
      return id != kNoValue && leads[static_cast<std::size_t>(id)] != 0;
    });
    if (any && find_op(node.op).reverse) {
      for (const ValueId id : node.out) leads[static_cast<std::size_t>(id)] = 1;
    }
  }
  ReversePass pass(graph, std::move(leads));
  pass.seed(loss, graph.constant(1.0, {}, "loss/grad"));
  const std::vector<Node> forward = [&] {
    std::vector<Node> nodes;
    for (const NodeId at : order) nodes.push_back(graph.nodes()[at]);
    return nodes;
  }();
  for (auto node = forward.rbegin(); node != forward.rend(); ++node) pass.visit(*node);

  std::vector<Gradient> result;
  for (const ValueId id : wanted) result.push_back({id, pass.grad_of(id)});
  // In the order of the nodes that finish them; what has no gradient comes last.
  std::vector<ValueId> targets;
  for (const Gradient& g : result) {
    if (g.grad != kNoValue) targets.push_back(g.grad);
  }
  const std::vector<NodeId> run_order = graph.schedule(targets);
  std::vector<std::size_t> position(graph.value_count(), run_order.size());
  for (std::size_t i = 0; i < run_order.size(); ++i) {
    for (const ValueId id : graph.nodes()[run_order[i]].out) position[static_cast<std::size_t>(id)] = i;
  }
  const auto when = [&](const Gradient& g) {
    return g.grad == kNoValue ? run_order.size() + 1 : position[static_cast<std::size_t>(g.grad)];
  };
  std::stable_sort(result.begin(), result.end(),
                   [&](const Gradient& a, const Gradient& b) { return when(a) < when(b); });
  return result;
}

}  // namespace winnow
