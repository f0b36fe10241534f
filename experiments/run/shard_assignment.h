// Which part of a sweep each of several independent jobs trains. Pure; some 10^6 trials take a second.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "experiments/trial_table.h"

namespace winnow {

// The shard of each trial, 0 to shards - 1: longest first, always to the shard that has least to do, and what costs nothing
// in turn. Trials that need each other stay together where all of them take less than a twentieth of a shard, so that no shard
// does more than that above the mean; else they are dealt out one by one.
std::vector<int> assign_shards(const TrialTable& trials, std::span<const double> costs, int shards);

// Trials of one shard, and what they need: that may be another shard's, and is then trained by who comes first.
std::vector<char> trials_of_shard(const TrialTable& trials, std::span<const int> shard_of, int shard);

// Seconds of the shard that has most to do, and of all on average.
struct ShardLoad {
  double longest = 0, mean = 0;
  double above_mean() const { return mean > 0 ? std::max(0.0, longest / mean - 1) : 0; }  // as a share of it
};
ShardLoad load_of(std::span<const double> costs, std::span<const int> shard_of, int shards);

}  // namespace winnow
