#include "experiments/data/registry.h"

#include "core/error.h"
#include "experiments/data/definitions.h"

namespace winnow {

const std::vector<DatasetDef>& datasets() {
  static const std::vector<DatasetDef> all = {
      fashion_mnist(),  //
      mnist(),          //
      cifar10(),        //
      cifar100(),       //
      synthetic(),
  };
  return all;
}

const DatasetDef& find_dataset(std::string_view name) {
  std::vector<std::string> names;
  for (const DatasetDef& def : datasets()) {
    if (def.name == name) return def;
    names.push_back(def.name);
  }
  const std::optional<std::string> near = nearest(name, names);
  fail(ErrorKind::Settings, "data.name: no data set '{}'; {}allowed: {}", name,
       near ? fmt::format("did you mean '{}'? ", *near) : "", fmt::join(names, ", "));
}

}  // namespace winnow
