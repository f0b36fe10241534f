// The `stop` section of a sweep file: {nonfinite: stop, asha: {metric: val_acc, min: 20ep, eta: 3, by: [model.name]}}, and what of a rule
// only the trials of the sweep can tell.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "experiments/stop_rule.h"
#include "experiments/sweep/tree.h"
#include "experiments/trial.h"

namespace winnow {

struct GivenStop {
  StopRule rule;  // without a metric where none is given
  std::string name;
  Place place;                          // of the rule
  std::map<std::string, Place> values;  // places of what is given, by key
  std::vector<Place> by;                // of each of rule.by, if it is given

  const Place& place_of(const std::string& key) const;
};

// Nothing: no rule but that of values that are not finite. What is wrong goes to `problems`.
std::optional<GivenStop> read_stop(const YamlNode& section, Diagnostics& problems);

// Looks at every configuration of a sweep and then says what is wrong, or completes the rule.
class StopCheck {
 public:
  void look_at(const TrialSpec& spec);
  void needed(const std::string& key) { needed_ = key; }  // a setting that names another trial
  void finish(GivenStop& given, Diagnostics& problems) const;

 private:
  std::set<std::string> keys_;
  bool any_ = false, all_validate_ = true;
  std::int64_t longest_ = 0;
  std::set<int> ranks_;
  std::string in_steps_;  // a length of training that is none in epochs
  std::string needed_;
};

}  // namespace winnow
