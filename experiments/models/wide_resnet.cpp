// Wide ResNet: three stages of (depth - 4) / 6 pre-activation blocks of 16k, 32k and 64k channels.
#include "core/error.h"
#include "experiments/models/families.h"

namespace winnow {
namespace {

struct Block {
  std::string name;
  int stage, block;
  std::int64_t channels, stride;
  double dropout, norm_scale;
};

// bn - relu - conv3x3 - bn - relu - dropout - conv3x3. Where the shape changes, the 1x1 projection
// reads the activated input; elsewhere the shortcut is the block's input itself.
ValueId wide_block(ModelBuilder& net, ValueId in, const Block& spec) {
  const std::string prefix = spec.name + ".";
  const ValueId active = norm_relu(net, in, prefix, "1", spec.norm_scale);
  ValueId x = net.conv2d(active, prefix + "conv1", spec.channels, 3, spec.stride, 1);
  x = net.dropout(norm_relu(net, x, prefix, "2", spec.norm_scale), prefix + "dropout", spec.dropout);
  x = net.conv2d(x, prefix + "conv2", spec.channels, 3, 1, 1);
  const bool same = spec.stride == 1 && net.shape(in)[3] == spec.channels;
  const ValueId skip = same ? in : net.conv2d(active, prefix + "shortcut.conv", spec.channels, 1, spec.stride);
  const ValueId out = net.add(x, skip, prefix + "add");
  net.region("basic_block", spec.name, spec.stage, spec.block, in, out);
  return out;
}

Model build_wide_resnet(const Settings& settings, const DataShape& data, std::int64_t batch, DType compute) {
  const std::int64_t depth = settings.integer("depth"), width = settings.integer("width");
  Model model{.name = "wide_resnet"};
  if (depth % 6 != 4)
    fail(ErrorKind::Settings, "model.depth of 'wide_resnet' must be 6n + 4 (16, 22, 28, 40), is {}", depth);
  if (data.height < 4 || data.width < 4) misfit(model.name, data, "a height and width of at least 4");
  ModelBuilder net(model);
  use_init(net, settings);
  const double scale = settings.real("bn_scale"), dropout = settings.real("dropout");
  ValueId x = net.conv2d(net.input(data, batch, compute), "conv1", 16, 3, 1, 1);
  for (int stage = 0; stage < 3; ++stage) {
    const ValueId in = x;
    for (int block = 0; block < (depth - 4) / 6; ++block) {
      x = wide_block(net, x,
                     {fmt::format("stage{}.block{}", stage, block), stage, block, (16 * width) << stage,
                      stage > 0 && block == 0 ? 2 : 1, dropout, scale});
    }
    net.region("stage", fmt::format("stage{}", stage), stage, 0, in, x);
  }
  x = net.global_avg_pool(norm_relu(net, x, "", "", scale), "avg_pool");
  net.output(net.linear(x, "fc", data.classes));
  return model;
}

}  // namespace

std::vector<ModelDef> wide_resnet() {
  return {{{.name = "wide_resnet",
            .schema = {init_setting("kaiming_normal", "ours: fan-in in place of the paper's fan-out"),
                       norm_scale_setting(),
                       {.key = "depth",
                        .kind = Setting::Kind::Int,
                        .fallback = "28",
                        .range = Range{10, 1000},
                        .meaning = "6n + 4 layers",
                        .source = "Zagoruyko and Komodakis 2016"},
                       {.key = "width",
                        .kind = Setting::Kind::Int,
                        .fallback = "10",
                        .range = Range{1, 64},
                        .meaning = "multiplies the 16, 32 and 64 channels",
                        .source = "Zagoruyko and Komodakis 2016"},
                       {.key = "dropout",
                        .kind = Setting::Kind::Real,
                        .fallback = "0",
                        .range = Range{0, 1, false, true},
                        .meaning = "dropout rate between the convolutions of a block; the paper's other value is 0.3",
                        .source = "Zagoruyko and Komodakis 2016"}},
            .meaning = "Wide ResNet-<depth>-<width> with pre-activation blocks",
            .source = "Zagoruyko and Komodakis 2016"},
           build_wide_resnet}};
}

}  // namespace winnow
