// One function per model family, each in the file of its name, and what the families share. Stateless.
#pragma once

#include "experiments/models/registry.h"

namespace winnow {

ModelDef lenet300();
ModelDef lenet5();
ModelDef conv_net(int depth);      // 2, 4, 6: convolutions
ModelDef vgg(int depth);           // 11, 13, 16, 19
ModelDef cifar_resnet(int depth);  // 6n + 2
ModelDef resnet(int depth);        // 18, 34, 50
ModelDef wide_resnet();

// Setting "init" with the family's default.
Setting init_setting(const std::string& fallback, const std::string& source);
// Setting "bn_scale", which every model with batch norm has.
Setting norm_scale_setting();
// Weights are drawn as "init" says; biases start at 0, with torch_default as PyTorch draws them.
void use_init(ModelBuilder& net, const Settings& settings);

// batch_norm and relu behind a value; names "<prefix>bn<suffix>" and "<prefix>relu<suffix>".
ValueId norm_relu(ModelBuilder& net, ValueId x, const std::string& prefix, const std::string& suffix, double scale);

[[noreturn]] void misfit(const std::string& model, const DataShape& data, const std::string& allowed);

}  // namespace winnow
