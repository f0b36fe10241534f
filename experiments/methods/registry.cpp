#include "experiments/methods/registry.h"

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
  return find_named(methods(), name, ErrorKind::Settings, "method.name: no method");
}

}  // namespace winnow
