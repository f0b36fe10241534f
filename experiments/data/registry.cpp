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
  return find_named(datasets(), name, ErrorKind::Settings, "data.name: no data set");
}

}  // namespace winnow
