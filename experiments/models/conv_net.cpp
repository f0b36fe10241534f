// Conv-2, Conv-4 and Conv-6 of the lottery ticket paper.
#include "core/error.h"
#include "experiments/models/families.h"

namespace winnow {
namespace {

Model build_conv_net(int depth, const Settings& settings, const DataShape& data, std::int64_t batch, DType compute) {
  const int pairs = depth / 2;
  const std::int64_t factor = std::int64_t{1} << pairs;
  Model model{.name = fmt::format("conv{}", depth)};
  if (data.height % factor != 0 || data.width % factor != 0) {
    misfit(model.name, data, fmt::format("a height and width that are multiples of {} ({} poolings)", factor, pairs));
  }
  ModelBuilder net(model);
  use_init(net, settings);
  ValueId x = net.input(data, batch, compute);
  for (int i = 0; i < depth; ++i) {
    const std::int64_t channels = std::int64_t{64} << (i / 2);
    const std::string index = std::to_string(i + 1);
    x = net.relu(net.conv2d(x, "conv" + index, channels, 3, 1, 1, true), "conv_relu" + index);
    if (i % 2 == 1) x = net.max_pool(x, fmt::format("pool{}", i / 2 + 1), 2, 2);
  }
  x = net.flatten(x, "flatten");
  x = net.relu(net.linear(x, "fc1", 256), "fc_relu1");
  x = net.relu(net.linear(x, "fc2", 256), "fc_relu2");
  net.output(net.linear(x, "fc3", data.classes));
  return model;
}

ModelDef conv_net_of_depth(int depth) {
  return {{.name = fmt::format("conv{}", depth),
           .schema = {init_setting("xavier_normal", "Frankle and Carbin 2019")},
           .meaning = fmt::format("Conv-{}: pairs of 3x3 convolutions with bias, 2x2 max pooling after each pair, "
                                  "fully connected 256, 256",
                                  depth),
           .source = "Frankle and Carbin 2019"},
          [depth](const Settings& settings, const DataShape& data, std::int64_t batch, DType compute) {
            return build_conv_net(depth, settings, data, batch, compute);
          }};
}

}  // namespace

std::vector<ModelDef> conv_net() { return {conv_net_of_depth(2), conv_net_of_depth(4), conv_net_of_depth(6)}; }

}  // namespace winnow
