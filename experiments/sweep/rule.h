// A rule that picks trials by their settings: an item of `exclude`, or --only. All its conditions
// must hold. Values are compared in canonical form (160 and 160ep are one length). Immutable once read.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "experiments/catalog.h"
#include "experiments/sweep/entries.h"
#include "experiments/trial.h"

namespace winnow {

class Rule {
 public:
  // `node`: {method.name: snip, method.density: {ge: 0.5}, model.name: [a, b]}. The catalog must outlive it.
  static std::optional<Rule> read(const YamlNode& node, const Catalog& catalog, Diagnostics& problems);

  bool matches(const TrialSpec& spec) const;
  const Place& place() const { return place_; }

 private:
  enum class Op { Lt, Le, Gt, Ge, Eq, Ne };
  struct Condition {
    std::string key;
    std::set<std::string> plain;                                // for names of components
    std::map<const Setting*, std::set<std::string>> canonical;  // the listed values as each reader spells them
    std::vector<std::pair<Op, double>> comparisons;
  };
  friend class RuleReader;

  bool holds(const Condition& condition, const TrialSpec& spec) const;

  const Catalog* catalog_ = nullptr;
  Place place_;
  std::vector<Condition> conditions_;
};

}  // namespace winnow
