#include "experiments/run/shard_assignment.h"

#include <algorithm>
#include <numeric>
#include <queue>
#include <tuple>
#include <utility>

namespace winnow {
namespace {

constexpr double kLargestGroup = 0.05;  // of the mean of a shard

// Sets of trials that need each other, by their roots.
class NeedGroups {
 public:
  explicit NeedGroups(const TrialTable& trials) : parent_(trials.size()) {
    std::iota(parent_.begin(), parent_.end(), std::size_t{0});
    bool any = false;
    for (std::size_t i = 0; i < trials.size() && !any; ++i) any = trials.has_needs(i);
    if (!any) return;
    const auto by_name = trials.positions();
    for (std::size_t i = 0; i < trials.size(); ++i) {
      for (const TrialNeed& need : trials.needs(i)) {
        if (const auto found = by_name.find(need.trial); found != by_name.end()) join(i, found->second);
      }
    }
  }
  std::size_t root(std::size_t at) {
    while (parent_[at] != at) at = parent_[at] = parent_[parent_[at]];
    return at;
  }

 private:
  // The root is the first of the list, so that groups do not depend on the order of joining.
  void join(std::size_t one, std::size_t other) {
    const std::size_t a = root(one), b = root(other);
    parent_[std::max(a, b)] = std::min(a, b);
  }
  std::vector<std::size_t> parent_;
};

}  // namespace

std::vector<int> assign_shards(const TrialTable& trials, std::span<const double> costs, int shards) {
  NeedGroups groups(trials);
  std::vector<double> of_group(trials.size(), 0);
  for (std::size_t i = 0; i < trials.size(); ++i) of_group[groups.root(i)] += costs[i];
  const double limit = kLargestGroup * std::accumulate(costs.begin(), costs.end(), 0.0) / shards;
  // Each trial goes with its leader, which is itself where the group is too large.
  std::vector<std::size_t> leader(trials.size()), order;
  std::vector<double> weight(trials.size(), 0);
  for (std::size_t i = 0; i < trials.size(); ++i) {
    const std::size_t root = groups.root(i);
    leader[i] = of_group[root] <= limit ? root : i;
    weight[leader[i]] += costs[i];
  }
  for (std::size_t i = 0; i < trials.size(); ++i) {
    if (leader[i] == i) order.push_back(i);
  }
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return weight[a] > weight[b]; });
  // What it has to do, how many trials, and which shard: the least comes first.
  using Load = std::tuple<double, std::size_t, int>;
  std::priority_queue<Load, std::vector<Load>, std::greater<>> least;
  for (int shard = 0; shard < shards; ++shard) least.emplace(0.0, 0, shard);
  std::vector<int> shard_of(trials.size(), 0);
  int next = 0;  // for what costs nothing, which would all go to the shard that has least to do
  for (const std::size_t i : order) {
    if (weight[i] <= 0) {
      shard_of[i] = std::exchange(next, (next + 1) % shards);
      continue;
    }
    const auto [seconds, count, shard] = least.top();
    least.pop();
    shard_of[i] = shard;
    least.emplace(seconds + weight[i], count + 1, shard);
  }
  for (std::size_t i = 0; i < trials.size(); ++i) shard_of[i] = shard_of[leader[i]];
  return shard_of;
}

std::vector<char> trials_of_shard(const TrialTable& trials, std::span<const int> shard_of, int shard) {
  std::vector<char> mine(trials.size(), 0);
  std::vector<std::size_t> open;
  bool any = false;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    mine[i] = shard_of[i] == shard ? 1 : 0;
    if (mine[i] == 0 || !trials.has_needs(i)) continue;
    open.push_back(i);
    any = true;
  }
  if (!any) return mine;
  const auto by_name = trials.positions();
  while (!open.empty()) {
    const std::size_t at = open.back();
    open.pop_back();
    for (const TrialNeed& need : trials.needs(at)) {
      const auto found = by_name.find(need.trial);
      if (found == by_name.end() || std::exchange(mine[found->second], char{1}) != 0) continue;
      open.push_back(found->second);
    }
  }
  return mine;
}

ShardLoad load_of(std::span<const double> costs, std::span<const int> shard_of, int shards) {
  std::vector<double> seconds(static_cast<std::size_t>(shards), 0);
  for (std::size_t i = 0; i < costs.size(); ++i) seconds[static_cast<std::size_t>(shard_of[i])] += costs[i];
  return {.longest = std::ranges::max(seconds),
          .mean = std::accumulate(seconds.begin(), seconds.end(), 0.0) / static_cast<double>(shards)};
}

}  // namespace winnow
