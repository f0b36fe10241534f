// The methods of this build. Adding one: a file with its definition, its function in definitions.h
// and its line in registry.cpp. Built once, immutable, shared freely.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "core/method.h"
#include "experiments/component.h"

namespace winnow {

struct MethodDef : Component {
  // `settings` are resolved against the schema (keys without "method.").
  std::function<std::unique_ptr<Method>(const Settings&)> make;
  Touches touches;      // of every setting; Method::touches() may say less
  bool phases = false;  // directs more than one training run (Method::phase)
};

const std::vector<MethodDef>& methods();
const MethodDef& find_method(std::string_view name);  // Error{Settings} naming the nearest

}  // namespace winnow
