// ResNet-18, -34 and -50 of the ImageNet design, with the small stem that CIFAR papers use as an
// option. The stride of a bottleneck is on its 3x3 convolution ("v1.5"); every shape change is a projection.
#include <array>

#include "core/error.h"
#include "experiments/models/families.h"
#include "experiments/models/residual.h"

namespace winnow {
namespace {

struct ResNetDesign {
  std::array<int, 4> blocks;
  bool bottleneck;
};

ResNetDesign design_of(int depth) {
  switch (depth) {
    case 18:
      return {{2, 2, 2, 2}, false};
    case 34:
      return {{3, 4, 6, 3}, false};
    case 50:
      return {{3, 4, 6, 3}, true};
    default:
      fail(ErrorKind::Internal, "there is no ResNet-{} here", depth);
  }
}

Model build_resnet(int depth, const Settings& settings, const DataShape& data, std::int64_t batch, DType compute) {
  Model model{.name = fmt::format("resnet{}", depth)};
  const bool small = small_stem(settings, data);
  const std::int64_t least = small ? 8 : 32;
  if (data.height < least || data.width < least) {
    misfit(model.name, data,
           fmt::format("a height and width of at least {} with the {} stem", least, small ? "CIFAR" : "ImageNet"));
  }
  ModelBuilder net(model);
  use_init(net, settings);
  const double scale = settings.real("bn_scale");
  ValueId x = net.input(data, batch, compute);
  x = small ? net.conv2d(x, "conv1", 64, 3, 1, 1) : net.conv2d(x, "conv1", 64, 7, 2, 3);
  x = norm_relu(net, x, "", "1", scale);
  if (!small) x = net.max_pool(x, "pool1", 3, 2, 1);
  const ResNetDesign design = design_of(depth);
  for (int stage = 0; stage < 4; ++stage) {
    const ValueId in = x;
    for (int block = 0; block < design.blocks[static_cast<std::size_t>(stage)]; ++block) {
      const BlockSpec spec{.name = fmt::format("stage{}.block{}", stage, block),
                           .stage = stage,
                           .block = block,
                           .width = std::int64_t{64} << stage,
                           .stride = stage > 0 && block == 0 ? 2 : 1,
                           .shortcut = Shortcut::Projection,
                           .norm_scale = scale};
      x = design.bottleneck ? bottleneck(net, x, spec) : basic_block(net, x, spec);
    }
    net.region("stage", fmt::format("stage{}", stage), stage, 0, in, x);
  }
  net.output(net.linear(net.global_avg_pool(x, "avg_pool"), "fc", data.classes));
  return model;
}

ModelDef resnet_of_depth(int depth) {
  return {{.name = fmt::format("resnet{}", depth),
           .schema = {init_setting("kaiming_normal", "He et al. 2016"), norm_scale_setting(),
                      stem_setting("3x3 convolution", "7x7 with stride 2 and max pooling",
                                   "He et al. 2016; common CIFAR form")},
           .meaning = fmt::format("ResNet-{}: four stages of {}", depth,
                                  design_of(depth).bottleneck ? "bottlenecks" : "basic blocks"),
           .source = "He et al. 2016"},
          [depth](const Settings& settings, const DataShape& data, std::int64_t batch, DType compute) {
            return build_resnet(depth, settings, data, batch, compute);
          }};
}

}  // namespace

std::vector<ModelDef> resnet() { return {resnet_of_depth(18), resnet_of_depth(34), resnet_of_depth(50)}; }

}  // namespace winnow
