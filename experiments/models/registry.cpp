#include "experiments/models/registry.h"

#include <algorithm>

#include "core/error.h"

namespace winnow {

#define MODELS(family) std::vector<ModelDef> family();
#include "experiments/models/models.def"
#undef MODELS

const std::vector<ModelDef>& models() {
  static const std::vector<ModelDef> all = [] {
    std::vector<ModelDef> list;
    const auto add = [&list](std::vector<ModelDef> family) {
      for (ModelDef& def : family) list.push_back(std::move(def));
    };
#define MODELS(family) add(family());
#include "experiments/models/models.def"
#undef MODELS
    return list;
  }();
  return all;
}

const ModelDef& find_model(std::string_view name) {
  return find_named(models(), name, ErrorKind::Settings, "model.name: no model");
}

}  // namespace winnow
