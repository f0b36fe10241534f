// Keys of a sweep file, and who of the catalog reads them. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "experiments/catalog.h"

namespace winnow {

struct KeyParts {
  std::string prefix;  // "method.", "method.with.interspace.", "" for the trial
  std::string rest;    // "density"; "" for "method.with.interspace" itself
  std::string kind;    // "data", "model", "method" or ""
  std::string with;    // the composed method's name
  bool is_name() const { return !kind.empty() && with.empty() && rest == "name"; }
  bool is_presence() const { return !with.empty() && rest.empty(); }
};
KeyParts take_apart(std::string_view key);

// `kind`: "data", "model" or "method".
const std::vector<Component>& components_of(const Catalog& catalog, std::string_view kind);
const Component* find_component(const std::vector<Component>& all, std::string_view name);  // null if there is none
std::vector<std::string> names_of(const std::vector<Component>& all);

// The setting that a resolved trial's `key` belongs to; nothing for names of components and unread keys.
const Setting* setting_of(const Catalog& catalog, const Settings& trial, std::string_view key);
// Every setting of the catalog that has this full key; "method.with.<name>.<key>" is looked up in that method.
std::vector<const Setting*> settings_named(const Catalog& catalog, std::string_view key);

}  // namespace winnow
