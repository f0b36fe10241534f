// Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019), as PyTorch defines them; Adam-mini (Zhang et al. 2024,
// algorithm 1): AdamW whose second moment is that of the mean square of a row, the weights of one output, and of a vector as
// a whole. Two slots: the moments.
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

void emit_adam_mini(UpdateGraph& update, ParamUpdate& param, const Settings& train) {
  // A row's mean is that of the entries that have a gradient.
  const bool all_alike = param.moves == param.train;
  emit_step(update, param, "adam_mini_step", moments(train),
            all_alike ? std::vector<ValueId>() : std::vector<ValueId>{param.train});
}

Schema adam_settings() {
  return {
      {.key = "beta1",
       .kind = Setting::Kind::Real,
       .fallback = "0.9",
       .range = Range{0, 1, false, true},
       .meaning = "Adam: decay of the first moment"},
      {.key = "beta2",
       .kind = Setting::Kind::Real,
       .fallback = "0.999",
       .range = Range{0, 1, false, true},
       .meaning = "Adam: decay of the second moment"},
      {.key = "eps",
       .kind = Setting::Kind::Real,
       .fallback = "1e-8",
       .range = Range{0, 1, true, false},
       .meaning = "Adam: added to the root of the second moment"},
  };
}

}  // namespace

OptimizerRule adam() { return {"adam", {slot_per_entry, slot_per_entry}, emit_adam, adam_settings()}; }
OptimizerRule adamw() { return {"adamw", {slot_per_entry, slot_per_entry}, emit_adamw, adam_settings()}; }
OptimizerRule adam_mini() { return {"adam_mini", {slot_per_entry, slot_per_row}, emit_adam_mini, adam_settings()}; }

}  // namespace winnow
