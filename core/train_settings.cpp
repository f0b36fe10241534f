#include "core/train_settings.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "core/optimizers/optimizer_rule.h"

namespace winnow {

const Schema& train_schema() {
  using Kind = Setting::Kind;
  constexpr double kMany = 1e12;
  static const Schema schema = {
      {"epochs",
       Kind::Length,
       "160ep",
       Range{1, kMany},
       {},
       "epochs or steps",
       "length of training: 160, 160ep or 30000it",
       ""},
      {"batch", Kind::Int, "128", Range{1, 1e6}, {}, "examples", "examples of one update, over all ranks", ""},
      {"optimizer", Kind::Choice, "sgd", {}, optimizer_names(), "", "update rule, as PyTorch defines it", ""},
      {"lr", Kind::Real, "0.1", Range{0, kMany, true, false}, {}, "", "learning rate before the schedule", ""},
      {"momentum", Kind::Real, "0.9", Range{0, 1, false, true}, {}, "", "SGD momentum", ""},
      {"nesterov", Kind::Bool, "false", {}, {}, "", "SGD with Nesterov momentum", ""},
      {"beta1", Kind::Real, "0.9", Range{0, 1, false, true}, {}, "", "Adam: decay of the first moment", ""},
      {"beta2", Kind::Real, "0.999", Range{0, 1, false, true}, {}, "", "Adam: decay of the second moment", ""},
      {"eps", Kind::Real, "1e-8", Range{0, 1, true, false}, {}, "", "Adam: added to the root of the second moment", ""},
      {"weight_decay",
       Kind::Real,
       "0",
       Range{0, kMany},
       {},
       "",
       "decay, coupled for SGD and Adam, decoupled for AdamW",
       ""},
      {"decay_norm", Kind::Bool, "true", {}, {}, "", "weight decay also acts on biases and normalisation", ""},
      {"schedule.kind",
       Kind::Choice,
       "constant",
       {},
       {"constant", "step", "multistep", "cosine"},
       "",
       "learning-rate schedule",
       ""},
      {"schedule.at",
       Kind::LengthList,
       "[]",
       Range{0, kMany},
       {},
       "epochs or steps",
       "multistep: where the rate is multiplied by gamma",
       ""},
      {"schedule.every",
       Kind::Length,
       "30ep",
       Range{1, kMany},
       {},
       "epochs or steps",
       "step: distance of two drops",
       ""},
      {"schedule.gamma",
       Kind::Real,
       "0.1",
       Range{0, 1, true, false},
       {},
       "",
       "step and multistep: factor of a drop",
       ""},
      {"schedule.warmup",
       Kind::Length,
       "0ep",
       Range{0, kMany},
       {},
       "epochs or steps",
       "linear warm-up from lr/steps to lr",
       ""},
      {"label_smoothing",
       Kind::Real,
       "0",
       Range{0, 1, false, true},
       {},
       "",
       "share of the target spread over all classes",
       ""},
      {"clip_norm", Kind::Real, "0", Range{0, kMany}, {}, "", "largest gradient norm of an update; 0: no clipping", ""},
      {"precision",
       Kind::Choice,
       "auto",
       {},
       {"auto", "f32", "bf16"},
       "",
       "compute type of activations; auto is bf16 where the processor has bf16 instructions. "
       "Weights, loss and statistics are f32 always",
       ""},
      {"eval_every",
       Kind::Int,
       "1",
       Range{1, kMany},
       {},
       "epochs",
       "distance of two evaluations; the last step is always evaluated",
       ""},
      {"eval_batch",
       Kind::Int,
       "200",
       Range{1, 1e6},
       {},
       "examples",
       "examples of one evaluation batch on one rank",
       ""},
  };
  return schema;
}

RunLength run_length(const Settings& train, std::int64_t steps_per_epoch) {
  return {train.length("epochs").steps(steps_per_epoch), steps_per_epoch};
}

LearningRate::LearningRate(const Settings& train, const RunLength& length)
    : base_(train.real("lr")),
      gamma_(train.real("schedule.gamma")),
      kind_(train.text("schedule.kind")),
      warmup_(length.resolve(train.length("schedule.warmup"))),
      total_(length.steps),
      every_(length.resolve(train.length("schedule.every"))) {
  for (const Length& at : train.lengths("schedule.at")) drops_.push_back(length.resolve(at));
  if (kind_ == "multistep" && drops_.empty()) {
    fail(ErrorKind::Settings, "train.schedule.at: a multistep schedule needs at least one place");
  }
}

double LearningRate::at(std::int64_t step) const {
  if (step < warmup_) return base_ * static_cast<double>(step + 1) / static_cast<double>(warmup_);
  if (kind_ == "multistep") {
    const auto drops = std::count_if(drops_.begin(), drops_.end(), [&](std::int64_t at) { return at <= step; });
    return base_ * std::pow(gamma_, static_cast<double>(drops));
  }
  if (kind_ == "step") {
    const std::int64_t drops = step / every_;
    return base_ * std::pow(gamma_, static_cast<double>(drops));
  }
  if (kind_ == "cosine") {
    const double share =
        static_cast<double>(step - warmup_) / static_cast<double>(std::max<std::int64_t>(total_ - warmup_, 1));
    return base_ * 0.5 * (1.0 + std::cos(std::numbers::pi * std::min(share, 1.0)));
  }
  return base_;
}

}  // namespace winnow
