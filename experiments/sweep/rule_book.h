// All rules of a sweep, in order. What they ask of a trial is looked up once for all of them, so that
// a thousand rules over a hundred thousand points take seconds. Not shared between threads; the catalog must outlive it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiments/sweep/rule.h"
#include "experiments/trial.h"

namespace winnow {

class RuleBook {
 public:
  explicit RuleBook(const Catalog& catalog) : catalog_(catalog) {}

  // A rule that `keeps` leaves out what does not match it (--only), the others what does.
  void add(Rule rule, bool keeps);
  // The first rule that leaves the trial out, by the order of adding.
  std::optional<std::size_t> leaving_out(const TrialSpec& spec) { return leaving_out(spec, true); }
  // Does a rule leave it out that is no --only?
  bool excluded(const TrialSpec& spec) { return leaving_out(spec, false).has_value(); }
  bool keeps(std::size_t rule) const { return rules_[rule].keeps; }

 private:
  struct Entry {
    Rule rule;
    bool keeps;
    std::vector<std::size_t> values;  // of its conditions, in values_
  };
  std::optional<std::size_t> leaving_out(const TrialSpec& spec, bool with_keeping);
  Rule::Value look_up(const std::string& key, const TrialSpec& spec) const;

  const Catalog& catalog_;
  std::vector<Entry> rules_;
  std::map<std::string, std::size_t> keys_;  // place in values_
  std::vector<Rule::Value> values_;          // of the trial at hand
};

}  // namespace winnow
