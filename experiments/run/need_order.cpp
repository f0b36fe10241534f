#include "experiments/run/need_order.h"

#include <algorithm>
#include <functional>
#include <string>
#include <unordered_map>

namespace winnow {

NeedOrder need_order(std::span<const TrialSpec> trials, std::span<const double> costs) {
  NeedOrder order{std::vector<int>(trials.size(), 0), {costs.begin(), costs.end()}};
  std::unordered_map<std::string, std::size_t> by_name;
  std::vector<std::size_t> dependent;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    if (!trials[i].needs.empty()) dependent.push_back(i);
  }
  if (dependent.empty()) return order;
  for (std::size_t i = 0; i < trials.size(); ++i) by_name.emplace(trials[i].name(), i);
  // A sweep has few levels, each settled by one pass.
  for (bool changed = true; changed;) {
    changed = false;
    for (const std::size_t i : dependent) {
      for (const TrialNeed& need : trials[i].needs) {
        const auto needed = by_name.find(need.trial);
        if (needed == by_name.end() || order.depth[i] > order.depth[needed->second]) continue;
        order.depth[i] = order.depth[needed->second] + 1;
        changed = true;
      }
    }
  }
  order.deepest = std::ranges::max(order.depth);
  std::ranges::stable_sort(dependent, std::greater{}, [&](std::size_t i) { return order.depth[i]; });
  for (const std::size_t i : dependent) {
    for (const TrialNeed& need : trials[i].needs) {
      const auto needed = by_name.find(need.trial);
      if (needed == by_name.end()) continue;
      double& chain = order.chain[needed->second];
      chain = std::max(chain, costs[needed->second] + order.chain[i]);
    }
  }
  return order;
}

}  // namespace winnow
