// SGD with momentum, optionally Nesterov's, as torch.optim.SGD without dampening. One slot: the velocity.
#include "core/optimizers/optimizer_rule.h"

namespace winnow {

void emit_sgd(UpdateGraph& update, ParamUpdate& param, const Settings& train) {
  emit_step(update, param, "sgd_step",
            {{"momentum", train.real("momentum")}, {"nesterov", std::int64_t{train.flag("nesterov")}}});
}

Schema sgd_settings() {
  return {
      {.key = "momentum",
       .kind = Setting::Kind::Real,
       .fallback = "0.9",
       .range = Range{0, 1, false, true},
       .meaning = "SGD momentum"},
      {.key = "nesterov",
       .kind = Setting::Kind::Bool,
       .fallback = "false",
       .meaning = "SGD with Nesterov momentum",
       .read_when = {{unless("momentum", {"0"})}}},
  };
}

OptimizerRule sgd() { return {"sgd", {slot_per_entry}, emit_sgd, sgd_settings()}; }

}  // namespace winnow
