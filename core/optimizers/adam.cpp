// Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019), as PyTorch defines them. Two slots: the moments.
#include "core/optimizers/optimizer_rule.h"

namespace winnow {
namespace {

Attrs moments(const Settings& train) {
  return {{"beta1", train.real("beta1")}, {"beta2", train.real("beta2")}, {"eps", train.real("eps")}};
}

}  // namespace

void emit_adam(UpdateGraph& update, ParamUpdate& param, const Settings& train) {
  emit_step(update, param, "adam_step", moments(train));
}
void emit_adamw(UpdateGraph& update, ParamUpdate& param, const Settings& train) {
  emit_step(update, param, "adamw_step", moments(train));
}

}  // namespace winnow
