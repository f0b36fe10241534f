// Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019), as PyTorch defines them. Two slots: the moments.
#include "core/optimizers/optimizer_rule.h"

namespace winnow {
namespace {

Attrs moments(const Settings& train) {
  return {{"beta1", train.real("beta1")}, {"beta2", train.real("beta2")}, {"eps", train.real("eps")}};
}

void emit_adam(UpdateGraph& update, ParamUpdate& param, const Settings& train) {
  emit_step(update, param, "adam_step", moments(train));
}
void emit_adamw(UpdateGraph& update, ParamUpdate& param, const Settings& train) {
  emit_step(update, param, "adamw_step", moments(train));
}

Schema settings() {
  using Kind = Setting::Kind;
  return {
      {.key = "beta1",
       .kind = Kind::Real,
       .fallback = "0.9",
       .range = Range{0, 1, false, true},
       .meaning = "Adam: decay of the first moment"},
      {.key = "beta2",
       .kind = Kind::Real,
       .fallback = "0.999",
       .range = Range{0, 1, false, true},
       .meaning = "Adam: decay of the second moment"},
      {.key = "eps",
       .kind = Kind::Real,
       .fallback = "1e-8",
       .range = Range{0, 1, true, false},
       .meaning = "Adam: added to the root of the second moment"},
  };
}

}  // namespace

OptimizerRule adam() { return {"adam", 2, emit_adam, settings()}; }
OptimizerRule adamw() { return {"adamw", 2, emit_adamw, settings()}; }

}  // namespace winnow
