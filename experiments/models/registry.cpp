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

const ModelDef& find_model(const std::string& name) {
  std::vector<std::string> names;
  for (const ModelDef& def : models()) {
    if (def.name == name) return def;
    names.push_back(def.name);
  }
  const auto hint = nearest(name, names);
  fail(ErrorKind::Settings, "unknown model '{}'{}; 'winnow models' lists all", name,
       hint ? fmt::format("; did you mean '{}'?", *hint) : "");
}

}  // namespace winnow
