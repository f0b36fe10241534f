#include "core/channel_groups.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "core/channel_classes.h"
#include "core/error.h"
#include "core/op.h"

namespace winnow {
namespace {

std::vector<ValueId> leaves_of(const Model& model) {
  std::vector<ValueId> leaves;
  for (const ParamSpec& spec : model.params) leaves.push_back(spec.value);
  for (const BufferSpec& spec : model.buffers) leaves.push_back(spec.value);
  return leaves;
}

// What stays of a leaf whose entries of the classes `gone` go.
TensorCut cut_of(const ChannelClasses& classes, const std::set<std::size_t>& gone, ValueId leaf) {
  TensorCut cut{.whole = classes.shape(leaf)};
  if (!classes.used(leaf)) return cut;
  cut.left.resize(static_cast<std::size_t>(cut.whole.rank()));
  for (int dim = 0; dim < cut.whole.rank(); ++dim) {
    auto& left = cut.left[static_cast<std::size_t>(dim)];
    for (std::int64_t i = 0; i < cut.whole[dim]; ++i) {
      if (!gone.contains(classes.find(leaf, dim, i))) left.push_back(i);
    }
    if (std::ssize(left) == cut.whole[dim]) left.clear();
  }
  if (std::ranges::all_of(cut.left, [](const auto& left) { return left.empty(); })) cut.left.clear();
  return cut;
}

class Kept final : public KeptEntries {
 public:
  Kept(const ChannelClasses& classes, const std::set<std::size_t>& gone) : classes_(classes), gone_(gone) {}
  const Shape& shape(ValueId value) const override { return classes_.shape(value); }
  std::vector<std::int64_t> kept(ValueId value, int dim) const override {
    std::vector<std::int64_t> left;
    for (std::int64_t i = 0; i < shape(value)[dim]; ++i) {
      if (!gone_.contains(classes_.find(value, dim, i))) left.push_back(i);
    }
    return left;
  }

 private:
  const ChannelClasses& classes_;
  const std::set<std::size_t>& gone_;
};

TensorCut joined(const TensorCut& first, const TensorCut& next) {
  if (first.all() || next.all()) return first.all() ? next : first;
  TensorCut both{.whole = first.whole, .left = next.left};
  for (std::size_t dim = 0; dim < both.left.size(); ++dim) {
    const auto& before = first.left[dim];
    if (before.empty()) continue;
    for (std::int64_t& i : both.left[dim]) i = before[static_cast<std::size_t>(i)];
    if (both.left[dim].empty()) both.left[dim] = before;
  }
  return both;
}

// What a weight of the layer is now, wherever its old shape is noted.
void note_layer_shapes(Model& model, const Model& before) {
  std::map<std::string, Shape> now;
  for (std::size_t p = 0; p < model.params.size(); ++p) {
    const ParamSpec &old = before.params[p], &spec = model.params[p];
    if (old.shape == old.layer_shape && old.shape != spec.shape) now.emplace(spec.layer, spec.shape);
  }
  for (ParamSpec& spec : model.params) {
    const auto found = now.find(spec.layer);
    if (found != now.end() && spec.layer_shape.rank() == found->second.rank()) spec.layer_shape = found->second;
  }
}

}  // namespace

ChannelCut ChannelCut::then(const ChannelCut& next) const {
  if (empty()) return next;
  if (next.empty()) return *this;
  ChannelCut both;
  for (std::size_t p = 0; p < params.size(); ++p) both.params.push_back(joined(params[p], next.params[p]));
  for (std::size_t b = 0; b < buffers.size(); ++b) both.buffers.push_back(joined(buffers[b], next.buffers[b]));
  return both;
}

Shape TensorCut::shape() const {
  std::vector<std::int64_t> extents(whole.begin(), whole.end());
  for (std::size_t dim = 0; dim < left.size(); ++dim) {
    if (!left[dim].empty()) extents[dim] = std::ssize(left[dim]);
  }
  return Shape(extents);
}

std::vector<std::int64_t> TensorCut::places() const {
  std::vector<std::int64_t> places{0};
  for (int dim = 0; dim < whole.rank(); ++dim) {
    std::vector<std::int64_t> stay = all() ? std::vector<std::int64_t>{} : left[static_cast<std::size_t>(dim)];
    if (stay.empty()) {
      stay.resize(static_cast<std::size_t>(whole[dim]));
      std::iota(stay.begin(), stay.end(), 0);
    }
    std::vector<std::int64_t> finer;
    finer.reserve(places.size() * stay.size());
    for (const std::int64_t place : places) {
      for (const std::int64_t i : stay) finer.push_back(place * whole[dim] + i);
    }
    places = std::move(finer);
  }
  return places;
}

ChannelGroups::ChannelGroups(const Model& model) {
  const ChannelClasses classes(model);
  std::map<std::size_t, std::size_t> group_of_class;
  std::vector<std::vector<std::string>> makers;  // by group
  for (const Node* node : classes.layers()) {
    const ValueId weight = node->in[1];
    for (std::int64_t i = 0; i < classes.shape(weight)[0]; ++i) {
      const std::size_t root = classes.find(weight, 0, i);
      if (classes.stays(root)) continue;
      const auto [found, added] = group_of_class.emplace(root, groups_.size());
      if (added) groups_.emplace_back(), makers.emplace_back();
      std::vector<std::string>& own = makers[found->second];
      if (own.empty() || own.back() != node->name) own.push_back(node->name);
      group_of_.emplace(ChannelSlot{weight, 0, i}, found->second);
    }
  }
  for (const ValueId leaf : leaves_of(model)) {
    for (int dim = 0; classes.used(leaf) && dim < classes.shape(leaf).rank(); ++dim) {
      for (std::int64_t i = 0; i < classes.shape(leaf)[dim]; ++i) {
        const auto found = group_of_class.find(classes.find(leaf, dim, i));
        if (found == group_of_class.end()) continue;
        groups_[found->second].slots.push_back({leaf, dim, i});
        group_of_.emplace(ChannelSlot{leaf, dim, i}, found->second);
      }
    }
  }
  std::map<std::vector<std::string>, int> family_of;
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    const auto [found, added] = family_of.emplace(makers[g], families_);
    if (added) ++families_, names_.push_back(makers[g].front());
    groups_[g].family = found->second;
  }
}

std::optional<std::size_t> ChannelGroups::group_of(ValueId value, int dim, std::int64_t index) const {
  const auto found = group_of_.find({value, dim, index});
  return found == group_of_.end() ? std::nullopt : std::optional(found->second);
}

ChannelCut remove_channels(Model& model, std::span<const std::int64_t> groups) {
  const ChannelGroups all(model);
  const ChannelClasses classes(model);
  std::set<std::size_t> gone;
  for (const std::int64_t group : groups) {
    if (group < 0 || group >= std::ssize(all.groups())) {
      fail(ErrorKind::Internal, "there is no channel group {} of {}", group, all.groups().size());
    }
    const ChannelSlot& slot = all.groups()[static_cast<std::size_t>(group)].slots.front();
    gone.insert(classes.find(slot.leaf, slot.dim, slot.index));
  }
  const Kept kept(classes, gone);
  for (const Node* node : classes.layers()) {
    if (!kept.kept(node->in[1], 0).empty()) continue;
    fail(ErrorKind::Settings, "every channel of layer '{}' would be removed; one must stay", node->name);
  }

  const Model before = model;
  ChannelCut cut;
  std::vector<std::pair<ValueId, Shape>> leaves;
  for (ParamSpec& spec : model.params) {
    const TensorCut& own = cut.params.emplace_back(cut_of(classes, gone, spec.value));
    if (own.all()) continue;
    spec.shape = own.shape();
    spec.seeded = false;  // the seed gives the values of the whole tensor
    leaves.emplace_back(spec.value, spec.shape);
  }
  for (BufferSpec& spec : model.buffers) {
    const TensorCut& own = cut.buffers.emplace_back(cut_of(classes, gone, spec.value));
    if (own.all()) continue;
    spec.shape = own.shape();
    leaves.emplace_back(spec.value, spec.shape);
  }
  note_layer_shapes(model, before);
  for (const NodeId at : classes.order()) {
    const Node& node = before.graph.nodes()[at];
    const ChannelRule& rule = find_op(node.op).channels;
    if (rule.resize) rule.resize(kept, node, model.graph.node(at).attrs);
  }
  model.graph.resize(leaves, classes.outputs());
  return cut;
}

}  // namespace winnow
