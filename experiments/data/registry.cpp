#include "experiments/data/registry.h"

#include "core/error.h"

namespace winnow {

#define DATASET(function) DatasetDef function();
#include "experiments/data/datasets.def"
#undef DATASET

const std::vector<DatasetDef>& datasets() {
  static const std::vector<DatasetDef> all = {
#define DATASET(function) function(),
#include "experiments/data/datasets.def"
#undef DATASET
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
