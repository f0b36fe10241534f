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
  return find_named(methods(), name, ErrorKind::Settings, "method.name: no method");
}

}  // namespace winnow
