#include "core/optimizer.h"

#include <cmath>

#include "kernels/optimizer.h"

namespace winnow {
namespace {

const std::uint8_t* data_or_null(std::span<const std::uint8_t> mask) { return mask.empty() ? nullptr : mask.data(); }

bool is_norm_or_bias(ParamRole role) {
  return role == ParamRole::Bias || role == ParamRole::NormScale || role == ParamRole::NormShift;
}

}  // namespace

Optimizer::Optimizer(const Settings& train, bool decay_frozen, int threads)
    : rule_(train.text("optimizer") == "sgd"    ? Rule::Sgd
            : train.text("optimizer") == "adam" ? Rule::Adam
                                                : Rule::AdamW),
      momentum_(static_cast<float>(train.real("momentum"))),
      beta1_(static_cast<float>(train.real("beta1"))),
      beta2_(static_cast<float>(train.real("beta2"))),
      epsilon_(static_cast<float>(train.real("eps"))),
      weight_decay_(train.real("weight_decay")),
      clip_norm_(train.real("clip_norm")),
      nesterov_(train.flag("nesterov")),
      decay_norm_(train.flag("decay_norm")),
      decay_frozen_(decay_frozen),
      threads_(threads) {}

int Optimizer::slots(const Settings& train) { return train.text("optimizer") == "sgd" ? 1 : 2; }

double Optimizer::gradient_norm(ParamStore& params) const {
  double sum = 0;
  for (std::size_t p = 0; p < params.size(); ++p) {
    const ParamId id{static_cast<std::uint32_t>(p)};
    if (!params.specs()[p].trainable || params.specs()[p].retired) continue;
    const auto grad = params.grad(id);
    const auto *keep = data_or_null(params.mask(id, MaskKind::Keep)),
               *train = data_or_null(params.mask(id, MaskKind::Trainable));
    for (std::size_t i = 0; i < grad.size(); ++i) {
      if ((keep == nullptr || keep[i] != 0) && (train == nullptr || train[i] != 0)) {
        sum += static_cast<double>(grad[i]) * static_cast<double>(grad[i]);
      }
    }
  }
  return std::sqrt(sum);
}

void Optimizer::update(ParamStore& params, double learning_rate, std::int64_t number) const {
  float scale = 1.0f;
  if (clip_norm_ > 0) {
    const double norm = gradient_norm(params);
    if (norm > clip_norm_) scale = static_cast<float>(clip_norm_ / (norm + 1e-6));  // as torch.nn.utils.clip_grad_norm_
  }
  const double correction1 = 1.0 - std::pow(static_cast<double>(beta1_), static_cast<double>(number));
  const double correction2 = 1.0 - std::pow(static_cast<double>(beta2_), static_cast<double>(number));
  for (std::size_t p = 0; p < params.size(); ++p) {
    const ParamId id{static_cast<std::uint32_t>(p)};
    const ParamSpec& spec = params.specs()[p];
    if (!spec.trainable || spec.retired) continue;
    const auto count = static_cast<std::int64_t>(params.weight(id).size());
    const auto *keep = data_or_null(params.mask(id, MaskKind::Keep)),
               *train = data_or_null(params.mask(id, MaskKind::Trainable));
    const auto lr = static_cast<float>(learning_rate * spec.lr);
    const double decay = is_norm_or_bias(spec.role) && !decay_norm_ ? 0.0 : weight_decay_ * spec.decay;
    float* weight = params.weight(id).data();
    const float* grad = params.grad(id).data();
    if (rule_ == Rule::Sgd) {
      for_each_weight({.threads = threads_}, count,
                      SgdStep{.grad = grad,
                              .weight = weight,
                              .velocity = params.slot(id, 0).data(),
                              .keep = keep,
                              .train = train,
                              .lr = lr,
                              .momentum = momentum_,
                              .weight_decay = static_cast<float>(decay),
                              .grad_scale = scale,
                              .nesterov = nesterov_,
                              .decay_frozen = decay_frozen_});
    } else {
      const bool decoupled = rule_ == Rule::AdamW;
      for_each_weight({.threads = threads_}, count,
                      AdamStep{.grad = grad,
                               .weight = weight,
                               .mean = params.slot(id, 0).data(),
                               .square = params.slot(id, 1).data(),
                               .keep = keep,
                               .train = train,
                               .beta1 = beta1_,
                               .beta2 = beta2_,
                               .epsilon = epsilon_,
                               .grad_scale = scale,
                               .weight_decay = decoupled ? 0.0f : static_cast<float>(decay),
                               .shrink = decoupled ? static_cast<float>(1.0 - learning_rate * spec.lr * decay) : 1.0f,
                               .step_size = static_cast<float>(learning_rate * spec.lr / correction1),
                               .inverse_root_correction = static_cast<float>(1.0 / std::sqrt(correction2)),
                               .decay_frozen = decay_frozen_});
    }
  }
}

}  // namespace winnow
