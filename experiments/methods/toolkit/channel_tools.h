// What methods that remove channels have in common: which groups are at stake, by what scores they go, gates on channels.
// Pure but for remove_groups.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/channel_groups.h"
#include "core/method.h"
#include "experiments/methods/toolkit/density.h"

namespace winnow {

// Scales of the batch norms behind the logits, in graph order. Error{Settings} if there are none.
std::vector<ParamId> batch_norm_scales(const Model& model);

// A group of channels that may go; the higher its score, the longer it stays.
struct ScoredGroup {
  std::int64_t group = 0;  // position in ChannelGroups
  int family = 0;
  double score = 0;
};

// How many go: `share` of all groups at stake together, or of each family (the channels of one layer, or of the layers
// that a residual sum ties). `threshold`: in place of the exact count, all whose score is not above the one at
// position floor(share * count) in rising order, as network-slimming's code does, which is one more.
struct ChannelShare {
  double share = 0;
  Scope scope = Scope::Global;
  bool threshold = false;
};

// The groups with an entry in one of these parameters. `score_of`: of an entry of a parameter; of several in one group the
// largest counts, since each of them alone carries the channel.
using EntryScore = std::function<double(ParamId, std::int64_t index)>;
std::vector<ScoredGroup> scored_groups(const ChannelGroups& groups, std::span<const ParamSpec> specs,
                                       const std::vector<ParamId>& params, const EntryScore& score_of);

// The positions of those that go, rising; of equal scores the later ones. Each family keeps its best at least, for which
// no other goes.
std::vector<std::int64_t> lowest_groups(const std::vector<ScoredGroup>& groups, const ChannelShare& share);
// So many of them; where a family's last is reached the next goes in its place.
std::vector<std::int64_t> lowest_groups(std::vector<ScoredGroup> groups, std::int64_t count);

// Removes these of the network's groups, and logs how many each family loses. Collective.
void remove_groups(TrainState& state, const ChannelGroups& groups, const std::vector<std::int64_t>& gone);

// The group of each output channel, if it has one, by the names of the layers that have any.
using MadeGroups = std::map<std::string, std::vector<std::optional<std::size_t>>>;
MadeGroups made_groups(const GraphEditor& editor, const ChannelGroups& groups);

// For ProbeRequest::edit: multiplies what each layer of made_groups() makes, behind its normalisation if it has one, by
// gates of 1, one a channel, which are named as the layer. A gate's gradient is that of all it multiplies: of the
// channel's weights and bias, or of scale and shift, times themselves.
std::vector<NamedValue> add_gates(GraphEditor& editor);

}  // namespace winnow
