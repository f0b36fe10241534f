// Channels of a network that live and die together, found by the channel rules of its ops (core/op.h), and their removal.
// A group is an output channel of one or more layers with everything that goes with it: entries of normalisations, of
// masks and statistics, input channels of the layers behind, the same channel on the other side of a residual sum. A
// group whose layers, scales and shifts are zero can be removed and the network computes the same. Plain values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/model.h"

namespace winnow {

// One index of one dimension of a parameter or buffer.
struct ChannelSlot {
  ValueId leaf;
  int dim;
  std::int64_t index;
  auto operator<=>(const ChannelSlot&) const =
      default;  // NOLINT(modernize-use-nullptr): clang-tidy 14 takes the 0 of a comparison for a pointer
};

struct ChannelGroup {
  int family = 0;                  // groups of a family are made by the same layers
  std::vector<ChannelSlot> slots;  // in order
};

// What is left of one tensor: for each dimension the indices that stay, in order; an empty list: all.
struct TensorCut {
  Shape whole = {};  // extents before
  std::vector<std::vector<std::int64_t>> left = {};

  bool all() const { return left.empty(); }  // nothing is gone
  Shape shape() const;                       // extents after
  // Places in the whole tensor of the entries that stay, row-major.
  std::vector<std::int64_t> places() const;
};
struct ChannelCut {
  std::vector<TensorCut> params, buffers;  // by position in the model

  bool empty() const { return params.empty() && buffers.empty(); }  // nothing is gone from any
  // First this cut, then `next`, which counts in what this one leaves.
  ChannelCut then(const ChannelCut& next) const;
};

class ChannelGroups {
 public:
  // Error{Settings} naming the first node whose op has no channel rule.
  explicit ChannelGroups(const Model& model);

  // In order of the first layer that makes them, then by channel. What reaches the images or the logits is in no group.
  const std::vector<ChannelGroup>& groups() const { return groups_; }
  int families() const { return families_; }
  const std::string& family_name(int family) const { return names_.at(static_cast<std::size_t>(family)); }  // a layer
  // Of an entry of a parameter or buffer, or of what a layer makes: row `index` of dimension 0 of the weight it reads.
  std::optional<std::size_t> group_of(ValueId value, int dim, std::int64_t index) const;

 private:
  std::vector<ChannelGroup> groups_;
  int families_ = 0;
  std::vector<std::string> names_;
  std::map<ChannelSlot, std::size_t> group_of_;
};

// Removes groups of ChannelGroups(model), by position there: parameters, buffers and all that is computed from them have
// fewer channels then. Error{Settings} naming the layer of which nothing would be left.
ChannelCut remove_channels(Model& model, std::span<const std::int64_t> groups);

}  // namespace winnow
