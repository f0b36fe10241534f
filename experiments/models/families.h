// What the model families share: settings, initialisation, the usual units. Stateless.
#pragma once

#include "experiments/models/registry.h"

namespace winnow {

// Setting "init" with the family's default.
Setting init_setting(const std::string& fallback, const std::string& source);
// Setting "bn_scale", which every model with batch norm has.
Setting norm_scale_setting();
// Setting "stem" of models with one for large and one for small images, and whether it means the small one here.
Setting stem_setting(const std::string& cifar, const std::string& imagenet, const std::string& source);
bool small_stem(const Settings& settings, const DataShape& data);
// Weights are drawn as "init" says; biases start at 0, with torch_default as PyTorch draws them.
void use_init(ModelBuilder& net, const Settings& settings);

// batch_norm and relu behind a value; names "<prefix>bn<suffix>" and "<prefix>relu<suffix>".
ValueId norm_relu(ModelBuilder& net, ValueId x, const std::string& prefix, const std::string& suffix, double scale);

[[noreturn]] void misfit(const std::string& model, const DataShape& data, const std::string& allowed);

}  // namespace winnow
