#include "experiments/methods/registry.h"

#include "core/error.h"

namespace winnow {

#define METHOD(function) MethodDef function();
#include "experiments/methods/methods.def"
#undef METHOD

const std::vector<MethodDef>& methods() {
  static const std::vector<MethodDef> all = {
#define METHOD(function) function(),
#include "experiments/methods/methods.def"
#undef METHOD
  };
  return all;
}

const MethodDef& find_method(std::string_view name) {
  std::vector<std::string> names;
  for (const MethodDef& def : methods()) {
    if (def.name == name) return def;
    names.push_back(def.name);
  }
  const std::optional<std::string> near = nearest(name, names);
  fail(ErrorKind::Settings, "method.name: no method '{}'; {}allowed: {}", name,
       near ? fmt::format("did you mean '{}'? ", *near) : "", fmt::join(names, ", "));
}

}  // namespace winnow
