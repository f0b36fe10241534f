// --only of the report: the trials that match, by the same rules as `winnow run --only`. Built once; one thread at a time.
#pragma once

#include <string>
#include <vector>

#include "experiments/catalog.h"
#include "experiments/sweep/rule_book.h"

namespace winnow {

class TrialFilter {
 public:
  // "method.name=rigl", "method.density={lt: 0.1}"; a trial must match all of them. SweepError for what no rule can be,
  // Error{Usage} for what is no KEY=VALUE. The catalog must outlive it.
  TrialFilter(const std::vector<std::string>& only, const Catalog& catalog);

  // `settings` may be without those at their default, as in a plan.
  bool keeps(Settings settings);

 private:
  const Catalog& catalog_;
  RuleBook rules_;
  std::vector<std::string> keys_;  // that the rules ask for
  TrialSpec spec_;                 // as the rules look at a trial: its settings, and nothing else
};

}  // namespace winnow
