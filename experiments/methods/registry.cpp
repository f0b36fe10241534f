#include "experiments/methods/registry.h"

#include "core/error.h"
#include "experiments/methods/definitions.h"

namespace winnow {

const std::vector<MethodDef>& methods() {
  static const std::vector<MethodDef> all = {
      dense(),           //
      random_pruning(),  //
      magnitude(),       //
      snip(),            //
      synflow(),         //
      freezenet(),       //
      set(),             //
      rigl(),            //
      gmp(),             //
      imp(),
      edge_popup(),
      interspace(),
      compander(),
      wavelet_dropout(),
      mixture_of_depths(),
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
