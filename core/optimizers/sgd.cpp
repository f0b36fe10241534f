// SGD with momentum, optionally Nesterov's, as torch.optim.SGD without dampening. One slot: the velocity.
#include "core/optimizers/optimizer_rule.h"

namespace winnow {

void emit_sgd(UpdateGraph& update, ParamUpdate& param, const Settings& train) {
  emit_step(update, param, "sgd_step",
            {{"momentum", train.real("momentum")}, {"nesterov", std::int64_t{train.flag("nesterov")}}});
}

}  // namespace winnow
