#include "experiments/data/registry.h"

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
  return find_named(datasets(), name, ErrorKind::Settings, "data.name: no data set");
}

}  // namespace winnow
