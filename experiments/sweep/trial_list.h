// The distinct trials of a sweep in the order in which they are added; those of one configuration
// share its settings. Not shared between threads.
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_set>
#include <vector>

#include "experiments/trial.h"

namespace winnow {

class TrialList {
 public:
  TrialList() = default;
  TrialList(const TrialList&) = delete;  // its index looks into its own trials
  TrialList& operator=(const TrialList&) = delete;

  enum class Added : std::uint8_t {
    NewConfiguration,
    NewRanks,      // of a known configuration, but on another number of ranks than its first trial
    NewReplicate,  // of a known configuration
    Duplicate      // of a trial in the list: not added
  };
  Added add(TrialSpec spec);

  std::size_t configurations() const { return first_.size(); }
  std::size_t most_replicates() const;
  // Leaves the list empty.
  std::vector<TrialSpec> take();

 private:
  using Index = std::uint32_t;
  struct HashOfId {
    const std::vector<TrialSpec>* trials;
    std::size_t operator()(Index i) const { return std::hash<std::string>()((*trials)[i].id); }
  };
  struct SameId {
    const std::vector<TrialSpec>* trials;
    bool operator()(Index a, Index b) const { return (*trials)[a].id == (*trials)[b].id; }
  };

  std::vector<TrialSpec> trials_;
  std::unordered_set<Index, HashOfId, SameId> first_{16, HashOfId{&trials_},
                                                     SameId{&trials_}};  // of each configuration
  std::unordered_set<std::uint64_t> names_;                              // first of the configuration, replicate
};

}  // namespace winnow
