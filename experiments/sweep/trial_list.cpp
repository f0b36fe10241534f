#include "experiments/sweep/trial_list.h"

#include <algorithm>
#include <utility>

namespace winnow {

TrialList::Added TrialList::add(TrialSpec spec) {
  trials_.push_back(std::move(spec));
  TrialSpec& trial = trials_.back();
  const auto [found, is_new] = first_.insert(static_cast<Index>(trials_.size() - 1));
  const auto replicate = static_cast<std::uint64_t>(trial.replicate);
  if (!names_.insert((std::uint64_t{*found} << 32) | replicate).second) {
    trials_.pop_back();
    return Added::Duplicate;
  }
  if (is_new) return Added::NewConfiguration;
  const TrialSpec& first = trials_[*found];
  trial.identity = first.identity;
  if (trial.settings == first.settings) trial.settings = first.settings;
  return trial.ranks == first.ranks ? Added::NewReplicate : Added::NewRanks;
}

std::size_t TrialList::most_replicates() const {
  std::vector<std::size_t> counts(trials_.size());
  for (Index i = 0; i < trials_.size(); ++i) ++counts[*first_.find(i)];
  return counts.empty() ? 0 : std::ranges::max(counts);
}

std::vector<TrialSpec> TrialList::take() {
  first_.clear();
  names_.clear();
  return std::exchange(trials_, {});
}

}  // namespace winnow
