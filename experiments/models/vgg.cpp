// VGG with batch norm in its CIFAR form: five stages of 3x3 convolutions, each ended by a 2x2 max
// pooling, and a small classifier in place of the three large layers of the ImageNet form.
#include "core/error.h"
#include "experiments/models/families.h"

namespace winnow {
namespace {

constexpr std::int64_t kVggChannels[] = {64, 128, 256, 512, 512};

// Convolutions in each of the five stages.
std::vector<int> stages_of(int depth) {
  switch (depth) {
    case 11:
      return {1, 1, 2, 2, 2};
    case 13:
      return {2, 2, 2, 2, 2};
    case 16:
      return {2, 2, 3, 3, 3};
    case 19:
      return {2, 2, 4, 4, 4};
    default:
      fail(ErrorKind::Internal, "there is no VGG-{}", depth);
  }
}

Model build_vgg(int depth, const Settings& settings, const DataShape& data, std::int64_t batch, DType compute) {
  Model model{.name = fmt::format("vgg{}", depth)};
  if (data.height % 32 != 0 || data.width % 32 != 0) {
    misfit(model.name, data, "a height and width that are multiples of 32 (five poolings)");
  }
  ModelBuilder net(model);
  use_init(net, settings);
  const bool bias = settings.flag("conv_bias");
  const double scale = settings.real("bn_scale"), dropout = settings.real("dropout");
  ValueId x = net.input(data, batch, compute);
  const std::vector<int> stages = stages_of(depth);
  for (std::size_t stage = 0; stage < stages.size(); ++stage) {
    for (int block = 0; block < stages[stage]; ++block) {
      const ValueId in = x;
      const std::string unit = fmt::format("stage{}.block{}", stage, block);
      x = net.conv2d(x, unit + ".conv", kVggChannels[stage], 3, 1, 1, bias);
      x = norm_relu(net, x, unit + ".", "", scale);
      net.region("conv_bn_relu", unit, static_cast<int>(stage), block, in, x);
    }
    x = net.max_pool(x, fmt::format("stage{}.pool", stage), 2, 2);
  }
  x = net.global_avg_pool(x, "avg_pool");  // one position for 32x32 images
  if (settings.text("classifier") == "mlp") {
    x = net.linear(net.dropout(x, "dropout1", dropout), "fc1", 512);
    x = norm_relu(net, x, "fc1.", "", scale);
  }
  net.output(net.linear(net.dropout(x, "dropout", dropout), "fc", data.classes));
  return model;
}

ModelDef vgg_of_depth(int depth) {
  return {{.name = fmt::format("vgg{}", depth),
           .schema = {init_setting("kaiming_normal", "open_lth"),
                      norm_scale_setting(),
                      {.key = "classifier",
                       .kind = Setting::Kind::Choice,
                       .fallback = "single",
                       .choices = {"single", "mlp"},
                       .meaning = "single: one linear layer; mlp: 512 units with batch norm before it "
                                  "(VGG-D of SNIP)",
                       .source = "common CIFAR form"},
                      {.key = "conv_bias",
                       .kind = Setting::Kind::Bool,
                       .fallback = "false",
                       .meaning = "convolutions have a bias too; the often quoted 14.73 M of VGG-16 count it",
                       .source = "ours: batch norm removes it again"},
                      {.key = "dropout",
                       .kind = Setting::Kind::Real,
                       .fallback = "0",
                       .range = Range{0, 1, false, true},
                       .meaning = "dropout rate before each linear layer",
                       .source = "ours: 0; Cakaj et al. use 0.5"}},
           .meaning = fmt::format("VGG-{} with batch norm, CIFAR form: conv stack and a linear classifier", depth),
           .source = "Simonyan and Zisserman 2015"},
          [depth](const Settings& settings, const DataShape& data, std::int64_t batch, DType compute) {
            return build_vgg(depth, settings, data, batch, compute);
          }};
}

}  // namespace

std::vector<ModelDef> vgg() { return {vgg_of_depth(11), vgg_of_depth(13), vgg_of_depth(16), vgg_of_depth(19)}; }

}  // namespace winnow
