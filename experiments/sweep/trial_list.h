// The distinct trials of a sweep in the order in which they are added. Not shared between threads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "experiments/trial_table.h"

namespace winnow {

class TrialList {
 public:
  enum class Added : std::uint8_t {
    NewConfiguration,
    NewRanks,      // of a known configuration, but on another number of ranks than its first trial
    NewReplicate,  // of a known configuration
    Duplicate      // of a trial in the list: not added
  };
  Added add(const TrialSpec& spec);

  // The first one of the list with this id, which must be there.
  TrialSpec first_with(const std::string& id) const { return trials_[configurations_[by_id_.at(id)].first]; }
  std::size_t configurations() const { return configurations_.size(); }
  std::size_t most_replicates() const;
  // Leaves the list empty.
  TrialTable take();

 private:
  struct Configuration {
    TrialTable::Index first;  // trial
    std::size_t trials;
  };
  std::optional<TrialTable::Index> like(const TrialSpec& spec, const Configuration& configuration) const;

  TrialTable trials_;
  std::unordered_map<std::string, std::uint32_t> by_id_;
  std::vector<Configuration> configurations_;
  std::unordered_set<std::uint64_t> names_;  // configuration, replicate
  TrialSpec last_;                           // replicates mostly follow each other
  TrialTable::Index last_at_ = 0;
};

}  // namespace winnow
