// What a sweep file may name: every method, model and data set with its settings, and the settings
// of a trial itself. Built once from the registries; immutable, shared freely. Tests may build their own.
#pragma once

#include <vector>

#include "experiments/component.h"

namespace winnow {

struct Catalog {
  std::vector<Component> methods, models, datasets;
  // Settings of the trial outside those: full keys, "train.lr", "train.schedule.kind", "init.from",
  // "save.weights.form".
  Schema trial;
  std::vector<Override> overrides = {};  // by settings of the trial itself
  // Part of every trial's identity if it is not 1; raised when one of their defaults or the mathematics
  // of training change, since identities leave defaults out.
  int train_version = 1;
};

const Catalog& catalog();  // everything this build has

}  // namespace winnow
