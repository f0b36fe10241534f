// What is said of a key that nobody reads: who would read it, or what it may have been meant to be. The catalog must outlive
// it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "experiments/catalog.h"
#include "experiments/sweep/entries.h"

namespace winnow {

// The nearest of `keys` and how to read about it, or nothing where none is near.
std::string did_you_mean_key(const std::string& key, const std::vector<std::string>& keys);

struct FoundProblem {
  Place place;
  std::string text, hint;
  bool missing = false;  // something absent, perhaps only because another part could not be read
};

class UnknownKeys {
 public:
  explicit UnknownKeys(const Catalog& catalog) : catalog_(catalog) {}

  // `reader` is the component that was asked; empty for "none of the selected ones".
  const FoundProblem& problem(const Entry& entry, const std::string& reader);
  // Where the whole section is unknown; nothing where it is not.
  std::optional<FoundProblem> unknown_section(const Entry& entry, const std::string& section) const;

 private:
  FoundProblem describe(const Entry& entry, const std::string& reader) const;

  const Catalog& catalog_;
  std::map<std::pair<const Entry*, std::string>, FoundProblem> known_;  // a sweep can ask a million times
};

}  // namespace winnow
