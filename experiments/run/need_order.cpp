#include "experiments/run/need_order.h"

#include <algorithm>

namespace winnow {
namespace {

// By trial: the positions of those that need it, and how many it needs; of trials of the list.
struct Dependents {
  std::vector<std::vector<std::size_t>> of;
  std::vector<std::size_t> needs;
};

Dependents dependents_of(const TrialTable& trials) {
  Dependents dependents{std::vector<std::vector<std::size_t>>(trials.size()),
                        std::vector<std::size_t>(trials.size(), 0)};
  const auto by_name = trials.positions();
  for (std::size_t i = 0; i < trials.size(); ++i) {
    for (const TrialNeed& need : trials.needs(i)) {
      const auto needed = by_name.find(need.trial);
      if (needed == by_name.end()) continue;
      dependents.of[needed->second].push_back(i);
      ++dependents.needs[i];
    }
  }
  return dependents;
}

}  // namespace

NeedOrder need_order(const TrialTable& trials, std::span<const double> costs) {
  NeedOrder order{std::vector<int>(trials.size(), 0), {costs.begin(), costs.end()}};
  bool any = false;
  for (std::size_t i = 0; i < trials.size() && !any; ++i) any = trials.has_needs(i);
  if (!any) return order;
  Dependents dependents = dependents_of(trials);
  std::vector<std::size_t> ready;  // each behind all that it needs
  for (std::size_t i = 0; i < trials.size(); ++i) {
    if (dependents.needs[i] == 0) ready.push_back(i);
  }
  for (std::size_t next = 0; next < ready.size(); ++next) {
    for (const std::size_t i : dependents.of[ready[next]]) {
      order.depth[i] = std::max(order.depth[i], order.depth[ready[next]] + 1);
      if (--dependents.needs[i] == 0) ready.push_back(i);
    }
  }
  order.deepest = std::ranges::max(order.depth);
  for (auto needed = ready.rbegin(); needed != ready.rend(); ++needed) {
    for (const std::size_t i : dependents.of[*needed]) {
      order.chain[*needed] = std::max(order.chain[*needed], costs[*needed] + order.chain[i]);
    }
  }
  return order;
}

}  // namespace winnow
