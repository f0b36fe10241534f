#include "experiments/models/registry.h"

#include "experiments/models/families.h"

namespace winnow {

const std::vector<ModelDef>& models() {
  static const std::vector<ModelDef> all = {
      lenet300(),       lenet5(),                                     // LeNet
      conv_net(2),      conv_net(4),      conv_net(6),                // Conv-N
      vgg(11),          vgg(13),          vgg(16),          vgg(19),  // VGG with batch norm
      cifar_resnet(20), cifar_resnet(32), cifar_resnet(44), cifar_resnet(56), cifar_resnet(110),
      resnet(18),       resnet(34),       resnet(50),       wide_resnet(),
  };
  return all;
}

const ModelDef& find_model(std::string_view name) {
  return find_named(models(), name, ErrorKind::Settings, "model.name: no model");
}

}  // namespace winnow
