// Settings as given in a file: dotted keys with their values and places. `train: {lr: 0.1}` and
// `train.lr: 0.1` are the same thing; from here on only the dotted form exists.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "experiments/sweep/tree.h"

namespace winnow {

struct Entry {
  std::string key;   // "method.density"
  std::string text;  // "0.05", "[80, 120]"; not yet checked
  Place key_place, value_place;
};

// The composed methods: `method.with.<name>` = "on" or "off", `method.with.<name>.<key>` = a setting of it.
inline constexpr const char* kWith = "method.with";

// The text of a scalar or of a list of scalars; anything else is a problem.
std::optional<std::string> value_text(const YamlNode& node, const std::string& key, Diagnostics& problems);

// All settings below `map`, each key prefixed with `prefix` + "." unless that is empty. A key given
// twice in its two forms is a problem.
std::vector<Entry> flatten(const YamlNode& map, const std::string& prefix, Diagnostics& problems);

// `later` wins where both give a key; the order of `earlier` stays.
void merge_entries(std::vector<Entry>& earlier, std::vector<Entry> later);

}  // namespace winnow
