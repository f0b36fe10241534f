// What methods that remove channels have in common: which groups are at stake, by what scores they go, and settings. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
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

// The positions of those that go, rising; of equal scores the later ones. Each family keeps its best at least.
// Error{Settings} for a score that is not a number.
std::vector<std::int64_t> lowest_groups(const std::vector<ScoredGroup>& groups, const ChannelShare& share);

}  // namespace winnow
