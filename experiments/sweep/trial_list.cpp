#include "experiments/sweep/trial_list.h"

#include <algorithm>
#include <utility>

namespace winnow {

TrialList::Added TrialList::add(const TrialSpec& spec) {
  const auto at = static_cast<TrialTable::Index>(trials_.size());
  const auto [known, is_new] = by_id_.try_emplace(spec.id, static_cast<std::uint32_t>(configurations_.size()));
  if (is_new) configurations_.push_back({at, 0});
  Configuration& configuration = configurations_[known->second];
  const auto replicate = static_cast<std::uint64_t>(spec.replicate);
  if (!names_.insert((std::uint64_t{known->second} << 32) | replicate).second) return Added::Duplicate;
  ++configuration.trials;
  const auto model = is_new ? std::nullopt : like(spec, configuration);
  if (model) {
    trials_.add(*model, spec.replicate, spec.needs);
  } else {
    trials_.add(spec);
  }
  last_ = spec;
  last_at_ = at;
  if (is_new) return Added::NewConfiguration;
  return spec.ranks == trials_.ranks(configuration.first) ? Added::NewReplicate : Added::NewRanks;
}

// A trial with the same settings: labels and other settings that are no part of an identity may differ.
std::optional<TrialTable::Index> TrialList::like(const TrialSpec& spec, const Configuration& configuration) const {
  if (last_.id == spec.id && last_.ranks == spec.ranks && last_.settings == spec.settings) return last_at_;
  const TrialSpec first = trials_[configuration.first];
  if (first.ranks == spec.ranks && first.settings == spec.settings) return configuration.first;
  return std::nullopt;
}

std::size_t TrialList::most_replicates() const {
  return configurations_.empty() ? 0 : std::ranges::max(configurations_, {}, &Configuration::trials).trials;
}

TrialTable TrialList::take() {
  TrialTable all = std::exchange(trials_, TrialTable());
  by_id_.clear();
  configurations_.clear();
  names_.clear();
  last_ = {};
  return all;
}

}  // namespace winnow
