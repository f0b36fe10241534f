#include "core/channel_classes.h"

#include <algorithm>

#include "core/error.h"
#include "core/graph_editor.h"
#include "core/op.h"

namespace winnow {

class ChannelClasses::Ties final : public ChannelTies {
 public:
  Ties(ChannelClasses& classes, const Node& node) : classes_(classes), node_(node) {}
  const Node& node() const override { return node_; }
  const Shape& shape(ValueId value) const override { return classes_.shape(value); }
  void tie(ValueId a, int dim_a, std::int64_t index_a, ValueId b, int dim_b, std::int64_t index_b) override {
    classes_.join(classes_.entry(a, dim_a, index_a), classes_.entry(b, dim_b, index_b));
  }
  void keep(ValueId value, int dim) override { classes_.keep(value, dim); }

 private:
  ChannelClasses& classes_;
  const Node& node_;
};

namespace {

// Whose term of the loss a node is that the logits do without; empty: of none.
std::string term_with(const Model& model, NodeId node) {
  const auto reached = [&](ValueId value) {
    return std::ranges::count(model.graph.schedule(std::vector{value}), node) > 0;
  };
  if (reached(model.logits)) return "";
  const auto found = std::ranges::find_if(model.losses, [&](const ExtraLoss& loss) { return reached(loss.value); });
  return found == model.losses.end() ? "" : found->name;
}

// Terms of the loss and what is observed shrink with the network, or are refused where an op has no rule.
std::vector<ValueId> outputs_of(const Model& model) {
  std::vector<ValueId> outputs = {model.logits};
  for (const ExtraLoss& loss : model.losses) outputs.push_back(loss.value);
  for (const Observed& observed : model.observed) outputs.push_back(observed.value);
  return outputs;
}

}  // namespace

ChannelClasses::ChannelClasses(const Model& model)
    : model_(model),
      outputs_(outputs_of(model)),
      order_(model.graph.schedule(outputs_)),
      first_(model.graph.value_count(), -1) {
  const Graph& graph = model.graph;
  for (const NodeId at : order_) {
    for (const std::vector<ValueId>* side : {&graph.nodes()[at].in, &graph.nodes()[at].out}) {
      for (const ValueId value : *side) add_entries(value);
    }
  }
  for (const NodeId at : order_) {
    const Node& node = graph.nodes()[at];
    const ChannelRule& rule = find_op(node.op).channels;
    if (!rule.tie) {
      const std::string term = term_with(model, at);
      fail(ErrorKind::Settings, "channels cannot be removed {}: op '{}' of '{}' has no rule for it",
           term.empty() ? "here" : fmt::format("beside the loss term '{}'", term), node.op, node.name);
    }
    Ties ties(*this, node);
    rule.tie(ties);
  }
  keep(model.input, -1);
  keep(model.logits, -1);
}

void ChannelClasses::add_entries(ValueId value) {
  if (value == kNoValue || used(value)) return;
  first_[static_cast<std::size_t>(value)] = std::ssize(parent_);
  const Shape& extents = shape(value);
  for (int dim = 0; dim < extents.rank(); ++dim) {
    for (std::int64_t i = 0; i < extents[dim]; ++i) parent_.push_back(parent_.size());
  }
  stays_.resize(parent_.size(), 0);
}

bool ChannelClasses::used(ValueId value) const { return first_.at(static_cast<std::size_t>(value)) >= 0; }

std::size_t ChannelClasses::entry(ValueId value, int dim, std::int64_t index) const {
  const Shape& extents = shape(value);
  const int at = dim < 0 ? dim + extents.rank() : dim;
  if (!used(value) || at < 0 || at >= extents.rank() || index < 0 || index >= extents[at]) {
    fail(ErrorKind::Internal, "value '{}' has no entry {} of dimension {}", model_.graph.value(value).name, index, dim);
  }
  std::int64_t found = first_[static_cast<std::size_t>(value)] + index;
  for (int before = 0; before < at; ++before) found += extents[before];
  return static_cast<std::size_t>(found);
}

std::size_t ChannelClasses::root(std::size_t entry) const {
  while (parent_[entry] != entry) entry = parent_[entry] = parent_[parent_[entry]];
  return entry;
}

std::size_t ChannelClasses::find(ValueId value, int dim, std::int64_t index) const {
  return root(entry(value, dim, index));
}

void ChannelClasses::join(std::size_t a, std::size_t b) {
  const std::size_t one = root(a), other = root(b);
  if (one == other) return;
  parent_[std::max(one, other)] = std::min(one, other);
  stays_[std::min(one, other)] |= stays_[std::max(one, other)];
}

void ChannelClasses::keep(ValueId value, int dim) {
  if (!used(value)) return;
  for (std::int64_t i = 0; i < shape(value)[dim]; ++i) stays_[find(value, dim, i)] = 1;
}

std::vector<const Node*> ChannelClasses::layers() const {
  const std::vector<char> computed = activations(model_);
  std::vector<const Node*> found;
  for (const NodeId at : order_) {
    const Node& node = model_.graph.nodes()[at];
    const bool layer = find_op(node.op).role == OpRole::Layer && computed[static_cast<std::size_t>(node.in[0])] != 0;
    if (layer) found.push_back(&node);
  }
  return found;
}

}  // namespace winnow
