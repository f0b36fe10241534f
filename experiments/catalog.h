// What a sweep file may name: every method, model and data set with its settings, and the settings
// of a trial itself. Built once from the registries; immutable, shared freely. Tests may build their own.
#pragma once

#include <string>
#include <vector>

#include "core/settings.h"

namespace winnow {

// What every registered method, model and data set says of itself.
struct Component {
  std::string name;
  int version = 1;      // part of a trial's identity; raised when the mathematics change
  Schema schema;        // keys without the leading "method.", "model." or "data."
  std::string meaning;  // one line
  std::string source;   // paper or code
};

struct Catalog {
  std::vector<Component> methods, models, datasets;
  // Settings of the trial outside those: full keys, "train.lr", "train.schedule.kind", "init.from",
  // "save.weights.form".
  Schema trial;
};

const Catalog& catalog();  // everything this build has

}  // namespace winnow
