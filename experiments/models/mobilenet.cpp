// MobileNet V1: thirteen units of a depthwise 3x3 and a 1x1 convolution, each with batch norm and ReLU.
#include <array>
#include <cmath>

#include "core/error.h"
#include "experiments/models/families.h"

namespace winnow {
namespace {

struct Unit {
  std::int64_t channels, stride;
};
constexpr std::array<Unit, 13> kUnits = {{{64, 1},
                                          {128, 2},
                                          {128, 1},
                                          {256, 2},
                                          {256, 1},
                                          {512, 2},
                                          {512, 1},
                                          {512, 1},
                                          {512, 1},
                                          {512, 1},
                                          {512, 1},
                                          {1024, 2},
                                          {1024, 1}}};

Model build_mobilenet(const Settings& settings, const DataShape& data, std::int64_t batch, DType compute) {
  Model model{.name = "mobilenet_v1"};
  if (data.height < 16 || data.width < 16) misfit(model.name, data, "a height and width of at least 16");
  ModelBuilder net(model);
  use_init(net, settings);
  const double scale = settings.real("bn_scale"), width = settings.real("width");
  const auto channels = [width](std::int64_t full) {
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::floor(static_cast<double>(full) * width)));
  };
  ValueId x =
      net.conv2d(net.input(data, batch, compute), "conv1", channels(32), 3, small_stem(settings, data) ? 1 : 2, 1);
  x = norm_relu(net, x, "", "1", scale);
  int stage = 0, block = 0;
  for (std::size_t i = 0; i < kUnits.size(); ++i) {
    if (kUnits[i].stride == 2) {
      ++stage;
      block = 0;
    }
    const std::string name = fmt::format("stage{}.block{}", stage, block), prefix = name + ".";
    const ValueId in = x;
    const std::int64_t before = net.shape(x)[3];
    x = net.conv2d(x, prefix + "conv1", before, 3, kUnits[i].stride, 1, false, before);
    x = norm_relu(net, x, prefix, "1", scale);
    x = norm_relu(net, net.conv2d(x, prefix + "conv2", channels(kUnits[i].channels), 1), prefix, "2", scale);
    net.region("separable", name, stage, block++, in, x);
  }
  net.output(net.linear(net.global_avg_pool(x, "avg_pool"), "fc", data.classes));
  return model;
}

}  // namespace

std::vector<ModelDef> mobilenet_v1() {
  return {{{.name = "mobilenet_v1",
            .schema = {init_setting("kaiming_normal", "ours: the paper does not say"),
                       norm_scale_setting(),
                       stem_setting("stride 1", "stride 2",
                                    "Howard et al. 2017; ours: stride 1, which leaves 2x2 pixels of 32x32"),
                       {.key = "width",
                        .kind = Setting::Kind::Real,
                        .fallback = "1",
                        .range = Range{0, 4, true},
                        .meaning = "multiplies all channels, rounded down; the paper has 0.25, 0.5, 0.75 and 1",
                        .source = "Howard et al. 2017"}},
            .meaning = "MobileNet V1: depthwise separable convolutions",
            .source = "Howard et al. 2017 (arXiv 1704.04861)"},
           build_mobilenet}};
}

}  // namespace winnow
