#include "experiments/models/families.h"

#include "core/error.h"

namespace winnow {
namespace {

constexpr std::int64_t kLargestCifarStem = 64;  // stem: auto takes the small stem up to Tiny ImageNet's images

}  // namespace

Setting init_setting(const std::string& fallback, const std::string& source) {
  return {.key = "init",
          .kind = Setting::Kind::Choice,
          .fallback = fallback,
          .choices = {"kaiming_normal", "kaiming_uniform", "torch_default", "xavier_normal", "signed_kaiming",
                      "signed_xavier"},
          .meaning =
              "distribution of the initial weights; biases start at 0, with torch_default as "
              "PyTorch draws them",
          .source = source};
}

Setting norm_scale_setting() {
  return {.key = "bn_scale",
          .kind = Setting::Kind::Real,
          .fallback = "1",
          .range = Range{0, 10, true, false},
          .meaning = "initial scale (gamma) of batch norm",
          .source = "PyTorch"};
}

Setting stem_setting(const std::string& cifar, const std::string& imagenet, const std::string& source) {
  return {.key = "stem",
          .kind = Setting::Kind::Choice,
          .fallback = "auto",
          .choices = {"auto", "cifar", "imagenet"},
          .meaning = fmt::format("cifar: {}; imagenet: {}; auto: cifar for images up to {}x{}", cifar, imagenet,
                                 kLargestCifarStem, kLargestCifarStem),
          .source = source};
}

bool small_stem(const Settings& settings, const DataShape& data) {
  const std::string& stem = settings.text("stem");
  return stem == "cifar" || (stem == "auto" && data.height <= kLargestCifarStem && data.width <= kLargestCifarStem);
}

void use_init(ModelBuilder& net, const Settings& settings) {
  const InitSpec::Kind kind = init_kind(settings.text("init"));
  net.weight_init({.kind = kind});
  net.bias_init({.kind = kind == InitSpec::Kind::TorchDefault ? kind : InitSpec::Kind::Constant});
}

ValueId norm_relu(ModelBuilder& net, ValueId x, const std::string& prefix, const std::string& suffix, double scale) {
  const ValueId normed = net.batch_norm(x, prefix + "bn" + suffix, true, scale);
  return net.relu(normed, prefix + "relu" + suffix);
}

void misfit(const std::string& model, const DataShape& data, const std::string& allowed) {
  fail(ErrorKind::Settings, "model '{}' does not fit images of {}x{}x{} with {} classes: it needs {}", model,
       data.height, data.width, data.channels, data.classes, allowed);
}

}  // namespace winnow
