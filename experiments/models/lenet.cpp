// LeNet-300-100 and LeNet-5-Caffe.
#include "core/error.h"
#include "experiments/models/families.h"

namespace winnow {
namespace {

Model build_lenet300(const Settings& settings, const DataShape& data, std::int64_t batch, DType compute) {
  Model model{.name = "lenet300"};
  ModelBuilder net(model);
  use_init(net, settings);
  ValueId x = net.flatten(net.input(data, batch, compute), "flatten");
  x = net.relu(net.linear(x, "fc1", 300), "relu1");
  x = net.relu(net.linear(x, "fc2", 100), "relu2");
  net.output(net.linear(x, "fc3", data.classes));
  return model;
}

// Two unpadded 5x5 convolutions, each followed by a 2x2 pooling that must not cut off a row.
bool fits_lenet5(std::int64_t extent) { return extent >= 16 && extent % 4 == 0; }

Model build_lenet5(const Settings& settings, const DataShape& data, std::int64_t batch, DType compute) {
  if (!fits_lenet5(data.height) || !fits_lenet5(data.width)) {
    misfit("lenet5", data, "a height and width that are multiples of 4 and at least 16 (28x28 in the paper)");
  }
  Model model{.name = "lenet5"};
  ModelBuilder net(model);
  use_init(net, settings);
  const bool relu_conv = settings.flag("relu_conv");
  ValueId x = net.input(data, batch, compute);
  const auto unit = [&](const std::string& index, std::int64_t channels) {
    x = net.conv2d(x, "conv" + index, channels, 5, 1, 0, true);
    if (relu_conv) x = net.relu(x, "relu" + index);
    x = net.max_pool(x, "pool" + index, 2, 2);
  };
  unit("1", 20);
  unit("2", 50);
  x = net.flatten(x, "flatten");
  x = net.relu(net.linear(x, "fc1", 500), "relu3");
  net.output(net.linear(x, "fc2", data.classes));
  return model;
}

// Unnormalised layers behind a large step: with momentum 0.9 and the default rate the loss is soon not finite.
std::optional<std::string> lenet5_caution(const Settings& train) {
  if (train.text("optimizer") != "sgd") return std::nullopt;
  const double lr = train.real("lr"), momentum = train.real("momentum");
  if (lr / (1 - momentum) < 1) return std::nullopt;
  return fmt::format(
      "{} with momentum {} is known to diverge for lenet5, which has no normalisation; lr 0.01, or "
      "momentum 0 as in the SNIP authors' code, is not",
      lr, momentum);
}

ModelDef lenet300() {
  return {{.name = "lenet300",
           .schema = {init_setting("xavier_normal", "Frankle and Carbin 2019")},
           .meaning = "LeNet-300-100: fully connected, 300 and 100 hidden units; any image size",
           .source = "LeCun et al. 1998"},
          build_lenet300};
}

ModelDef lenet5() {
  return {{.name = "lenet5",
           .schema = {init_setting("xavier_normal", "Wimmer et al. 2020"),
                      {.key = "relu_conv",
                       .kind = Setting::Kind::Bool,
                       .fallback = "false",
                       .meaning = "a ReLU after each convolution too; Caffe has one only after the hidden layer",
                       .source = "Caffe"}},
           .meaning = "LeNet-5-Caffe: unpadded 5x5 convolutions of 20 and 50 channels, 500 hidden units",
           .source = "Caffe"},
          build_lenet5,
          lenet5_caution};
}

}  // namespace

std::vector<ModelDef> lenet() { return {lenet300(), lenet5()}; }

}  // namespace winnow
