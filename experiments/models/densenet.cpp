// DenseNet-BC: each layer reads what all layers of its block before it have written, side by side.
#include "core/error.h"
#include "experiments/models/families.h"

namespace winnow {
namespace {

struct DenseNetDesign {
  std::string name;
  std::vector<std::int64_t> layers;  // of each dense block
  std::int64_t growth = 0;           // channels that a layer adds
  enum class Stem : std::uint8_t {
    Plain,
    Small,
    Large
  } stem = Stem::Plain;  // Plain: one convolution, nothing behind it
};

// bn - relu - conv1x1 to four times the growth - bn - relu - conv3x3, beside its input.
ValueId dense_layer(ModelBuilder& net, ValueId in, const std::string& name, std::int64_t growth, double scale) {
  const std::string prefix = name + ".";
  ValueId x = norm_relu(net, in, prefix, "1", scale);
  x = net.conv2d(x, prefix + "conv1", 4 * growth, 1);
  x = norm_relu(net, x, prefix, "2", scale);
  x = net.conv2d(x, prefix + "conv2", growth, 3, 1, 1);
  return net.op("concat", {in, x}, prefix + "concat");
}

// Halves the channels and the extents.
ValueId transition(ModelBuilder& net, ValueId x, const std::string& name, double scale) {
  const std::string prefix = name + ".";
  x = norm_relu(net, x, prefix, "", scale);
  x = net.conv2d(x, prefix + "conv", net.shape(x)[3] / 2, 1);
  return net.avg_pool(x, prefix + "pool", 2, 2);
}

Model build_densenet(const DenseNetDesign& design, const Settings& settings, const DataShape& data, std::int64_t batch,
                     DType compute) {
  Model model{.name = design.name};
  const bool large = design.stem == DenseNetDesign::Stem::Large;
  const std::int64_t least = (large ? 4 : 1) * (std::int64_t{1} << (design.layers.size() - 1));
  if (data.height < least || data.width < least) {
    misfit(model.name, data, fmt::format("a height and width of at least {}", least));
  }
  ModelBuilder net(model);
  use_init(net, settings);
  const double scale = settings.real("bn_scale");
  ValueId x = net.input(data, batch, compute);
  x = large ? net.conv2d(x, "conv1", 2 * design.growth, 7, 2, 3) : net.conv2d(x, "conv1", 2 * design.growth, 3, 1, 1);
  if (design.stem != DenseNetDesign::Stem::Plain) x = norm_relu(net, x, "", "1", scale);
  if (large) x = net.max_pool(x, "pool1", 3, 2, 1);
  for (std::size_t stage = 0; stage < design.layers.size(); ++stage) {
    const ValueId in = x;
    const int number = static_cast<int>(stage);
    for (std::int64_t layer = 0; layer < design.layers[stage]; ++layer) {
      const std::string name = fmt::format("stage{}.block{}", stage, layer);
      const ValueId before = x;
      x = dense_layer(net, x, name, design.growth, scale);
      net.region("dense_layer", name, number, static_cast<int>(layer), before, x);
    }
    net.region("stage", fmt::format("stage{}", stage), number, 0, in, x);
    if (stage + 1 < design.layers.size()) x = transition(net, x, fmt::format("transition{}", stage), scale);
  }
  x = norm_relu(net, x, "", "_last", scale);
  net.output(net.linear(net.global_avg_pool(x, "avg_pool"), "fc", data.classes));
  return model;
}

const char* const kSource = "Huang et al. 2017 (arXiv 1608.06993)";

ModelDef cifar_form() {
  return {
      {.name = "densenet_bc",
       .schema = {init_setting("kaiming_normal", "Huang et al. 2017"),
                  norm_scale_setting(),
                  {.key = "depth",
                   .kind = Setting::Kind::Int,
                   .fallback = "100",
                   .range = Range{10, 1000},
                   .meaning = "6n + 4 layers, n in each of three blocks; the paper has 100, 190 and 250",
                   .source = kSource},
                  {.key = "growth",
                   .kind = Setting::Kind::Int,
                   .fallback = "12",
                   .range = Range{1, 128},
                   .meaning = "channels that a layer adds; the paper has 12, 40 and 24 with these depths",
                   .source = kSource}},
       .meaning = "DenseNet-BC for small images: three dense blocks with bottlenecks, transitions halve the channels",
       .source = kSource},
      [](const Settings& settings, const DataShape& data, std::int64_t batch, DType compute) {
        const std::int64_t depth = settings.integer("depth"), n = (depth - 4) / 6;
        if (depth != 6 * n + 4) {
          fail(ErrorKind::Settings, "model 'densenet_bc' has no depth {}: it must be 6n + 4, such as {} or {}", depth,
               6 * n + 4, 6 * n + 10);
        }
        return build_densenet({"densenet_bc", {n, n, n}, settings.integer("growth")}, settings, data, batch, compute);
      }};
}

ModelDef imagenet_form(const std::string& name, std::vector<std::int64_t> layers, std::int64_t growth) {
  return {{.name = name,
           .schema = {init_setting("kaiming_normal", "Huang et al. 2017"), norm_scale_setting(),
                      stem_setting("3x3 convolution", "7x7 with stride 2 and max pooling",
                                   "Huang et al. 2017; ours: the CIFAR form, as of the ResNets")},
           .meaning = fmt::format("{}: dense blocks of {} layers that add {} channels each", name,
                                  fmt::join(layers, ", "), growth),
           .source = kSource},
          [name, layers, growth](const Settings& settings, const DataShape& data, std::int64_t batch, DType compute) {
            const auto stem = small_stem(settings, data) ? DenseNetDesign::Stem::Small : DenseNetDesign::Stem::Large;
            return build_densenet({name, layers, growth, stem}, settings, data, batch, compute);
          }};
}

}  // namespace

std::vector<ModelDef> densenet() {
  return {cifar_form(), imagenet_form("densenet121", {6, 12, 24, 16}, 32),
          imagenet_form("densenet169", {6, 12, 32, 32}, 32), imagenet_form("densenet201", {6, 12, 48, 32}, 32),
          imagenet_form("densenet161", {6, 12, 36, 24}, 48)};
}

}  // namespace winnow
