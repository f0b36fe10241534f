// What every registered method, model and data set says of itself, and how one is found by its name. Plain values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/settings.h"

namespace winnow {

// A setting that is not read where it is given, because a component puts something in its place. Keys are those of a sweep
// file: "model.bn_scale"; "method.gamma" in a method's own list is its own setting, also where it stands in `with`.
struct Override {
  std::string key;
  ReadWhen when = {};  // on settings of the whole trial; none: always
};

struct Component {
  std::string name;
  int version = 1;      // part of a trial's identity; raised when the mathematics change
  Schema schema;        // keys without the leading "method.", "model." or "data."
  std::string meaning;  // one line
  std::string source;   // paper or code
  std::vector<Override> overrides = {};
};

// The one of `all` (anything with a `name`) that is called so. Otherwise an Error of this kind, "<what> 'x'",
// with the nearest name and all that are allowed.
template <class All>
const auto& find_named(const All& all, std::string_view name, ErrorKind kind, std::string_view what) {
  std::vector<std::string> names;
  for (const auto& one : all) {
    if (one.name == name) return one;
    names.emplace_back(one.name);
  }
  fail(kind, "{} '{}'{}; allowed: {}", what, name, did_you_mean(name, names, "; "), fmt::join(names, ", "));
}

}  // namespace winnow
