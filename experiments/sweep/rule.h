// A rule that picks trials by their settings: an item of `exclude`, or --only. All its conditions
// must hold. Values are compared, not texts (160 and 160ep are one length). Immutable once read.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "experiments/catalog.h"
#include "experiments/sweep/entries.h"

namespace winnow {

class Rule {
 public:
  // `node`: {method.name: snip, method.density: {ge: 0.5}, model.name: [a, b]}. The catalog must outlive it.
  static std::optional<Rule> read(const YamlNode& node, const Catalog& catalog, Diagnostics& problems);

  // What a condition asks of a trial.
  struct Value {
    const std::string* text = nullptr;  // null: the trial has no such setting
    const Setting* setting = nullptr;   // null for names of components
    std::optional<double> number = {};
  };
  // The settings its conditions ask for, one a condition.
  std::vector<std::string> keys() const;
  // `value(i)`: that of keys()[i] in the trial.
  template <class ValueOf>
  bool matches(const ValueOf& value) const {
    for (std::size_t i = 0; i < conditions_.size(); ++i) {
      if (!holds(conditions_[i], value(i))) return false;
    }
    return true;
  }
  const Place& place() const { return place_; }

 private:
  enum class Op { Lt, Le, Gt, Ge, Eq, Ne };
  struct Condition {
    std::string key;
    bool presence = false;                                      // method.with.NAME: on or off
    std::set<std::string> plain;                                // for names of components
    std::map<const Setting*, std::set<std::string>> canonical;  // the listed values as each reader spells them
    std::vector<std::pair<Op, double>> comparisons;
  };
  friend class RuleReader;

  static bool holds(const Condition& condition, const Value& value);

  Place place_;
  std::vector<Condition> conditions_;
};

}  // namespace winnow
