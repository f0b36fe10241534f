// Methods, models and data sets for people, for programs (JSON) and for the documentation
// (Markdown): all three from the one schema that also checks sweep files.
#pragma once

#include <iosfwd>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "experiments/catalog.h"

namespace winnow {

struct Listing {
  const char* verb;    // "methods"
  const char* title;   // "Methods"
  const char* prefix;  // of the keys in a sweep file: "method"
  const std::vector<Component>* components;
};

// winnow VERB [NAME] [--json | --markdown]
int run_listing(const Listing& listing, std::span<const std::string> args, std::ostream& out);

// Every key that a sweep file may set, sorted.
std::vector<std::string> setting_keys();

// "number in (0, 1]", "one of sgd, adam".
std::string type_text(const Setting& setting);
// Four lines at most: key, type, default; meaning; when it is read; source.
std::string setting_text(const Setting& setting, const std::string& key);
// The same for programs.
nlohmann::ordered_json setting_json(const Setting& setting, const std::string& key);

}  // namespace winnow
