// The CIFAR ResNets of He et al.: a 3x3 stem and three stages of (depth - 2) / 6 basic blocks, 16, 32 and 64 channels.
#include "core/error.h"
#include "experiments/models/families.h"
#include "experiments/models/residual.h"

namespace winnow {
namespace {

Model build(int depth, const Settings& settings, const DataShape& data, std::int64_t batch, DType compute) {
  Model model{.name = fmt::format("resnet{}", depth)};
  if (data.height < 4 || data.width < 4) misfit(model.name, data, "a height and width of at least 4");
  ModelBuilder net(model);
  use_init(net, settings);
  const double scale = settings.real("bn_scale");
  const std::int64_t base = 16 * settings.integer("width");
  ValueId x = norm_relu(net, net.conv2d(net.input(data, batch, compute), "conv1", base, 3, 1, 1), "", "1", scale);
  const int blocks = (depth - 2) / 6;
  for (int stage = 0; stage < 3; ++stage) {
    const ValueId in = x;
    for (int block = 0; block < blocks; ++block) {
      x = basic_block(net, x,
                      {.name = fmt::format("stage{}.block{}", stage, block),
                       .stage = stage,
                       .block = block,
                       .width = base << stage,
                       .stride = stage > 0 && block == 0 ? 2 : 1,
                       .shortcut = settings.text("shortcut") == "A" ? Shortcut::A : Shortcut::Projection,
                       .norm_scale = scale});
    }
    net.region("stage", fmt::format("stage{}", stage), stage, 0, in, x);
  }
  net.output(net.linear(net.global_avg_pool(x, "avg_pool"), "fc", data.classes));
  return model;
}

ModelDef of_depth(int depth) {
  return {{.name = fmt::format("resnet{}", depth),
           .schema = {init_setting("kaiming_normal", "He et al. 2016"),
                      norm_scale_setting(),
                      {.key = "width",
                       .kind = Setting::Kind::Int,
                       .fallback = "1",
                       .range = Range{1, 64},
                       .meaning = "multiplies the 16, 32 and 64 channels; GraSP's ResNet-32 has 2",
                       .source = "He et al. 2016; Wang et al. 2020"},
                      {.key = "shortcut",
                       .kind = Setting::Kind::Choice,
                       .fallback = "A",
                       .choices = {"A", "projection"},
                       .meaning = "where shapes change, A: subsampling and zero channels; projection: 1x1 "
                                  "convolution and batch norm (option B)",
                       .source = "He et al. 2016"}},
           .meaning = fmt::format("CIFAR ResNet-{}: three stages of {} basic blocks", depth, (depth - 2) / 6),
           .source = "He et al. 2016"},
          [depth](const Settings& settings, const DataShape& data, std::int64_t batch, DType compute) {
            return build(depth, settings, data, batch, compute);
          }};
}

}  // namespace

std::vector<ModelDef> cifar_resnet() { return {of_depth(20), of_depth(32), of_depth(44), of_depth(56), of_depth(110)}; }

}  // namespace winnow
