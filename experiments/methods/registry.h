// The methods of this build. Adding one: a file that defines a function `MethodDef name()`, and its line in methods.def.
// Built once, immutable, shared freely.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "core/method.h"
#include "experiments/component.h"

namespace winnow {

// What the property suite tries a method on: 40 steps on 16x16 colour images, or digits where the model is lenet300.
struct MethodExample {
  std::string model = "lenet5";
  std::map<std::string, std::string> settings =
      {};  // where the defaults would not act in that time; `density` is set by the suite
};

struct MethodDef : Component {
  // `settings` are resolved against the schema (keys without "method.").
  std::function<std::unique_ptr<Method>(const Settings&)> make;
  MethodExample example = {};
};

const std::vector<MethodDef>& methods();
const MethodDef& find_method(std::string_view name);  // Error{Settings} naming the nearest

}  // namespace winnow
