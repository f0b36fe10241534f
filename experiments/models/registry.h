// The models a sweep file may name. Immutable once built; shared freely.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "core/model.h"
#include "experiments/component.h"

namespace winnow {

struct ModelDef : Component {
  // `model`: settings resolved against the schema. Parameters and their order do not depend on the
  // batch size. Error{Settings} if the model does not fit the data's shape.
  std::function<Model(const Settings& model, const DataShape& data, std::int64_t batch, DType compute)> build;
  // Why training by these settings (keys without "train.") is known to fail, for the notes of a plan. Optional.
  std::function<std::optional<std::string>(const Settings& train)> caution = {};
};

const std::vector<ModelDef>& models();
const ModelDef& find_model(std::string_view name);  // Error{Settings} naming the nearest

}  // namespace winnow
