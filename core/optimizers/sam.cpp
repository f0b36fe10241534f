// Sharpness-aware minimisation (Foret et al. 2021, equations 2 and 3) over SGD: the gradient of the update is taken at
// w + rho * g / |g|, where g is the gradient at w of the same batch. Decay is no part of g. The norm is that of all live
// gradients after their sum over ranks, so that the point is that of the whole batch for any number of ranks (the authors'
// code takes one norm a device). Batch norm updates its statistics at w alone, and dropout draws alike in both passes.
#include "core/optimizers/optimizer_rule.h"

namespace winnow {
namespace {

void go_up(UpdateGraph& update, const Settings& train) {
  const ValueId scale = update.over_gradients("norm_scale", {{"norm", train.real("rho")}}, "sam.scale");
  for (ParamUpdate& param : update.updates()) {
    param.new_weight = update.graph().emit1("ascend", {param.weight, param.grad, param.keep, param.train, scale}, {},
                                            param.name + "/point");
  }
}

Schema sam_settings() {
  Schema all = sgd_settings();
  all.push_back({.key = "rho",
                 .kind = Setting::Kind::Real,
                 .fallback = "0.05",
                 .range = Range{0, 1e12, true, false},
                 .meaning = "SAM: distance from the weights at which the gradient is taken",
                 .source = "Foret et al. 2021"});
  return all;
}

}  // namespace

OptimizerRule sam() { return {"sam", {slot_per_entry}, emit_sgd, sam_settings(), go_up}; }

}  // namespace winnow
