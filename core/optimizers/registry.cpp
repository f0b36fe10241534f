#include <algorithm>

#include "core/error.h"
#include "core/optimizers/optimizer_rule.h"

namespace winnow {

#define OPTIMIZER(function) OptimizerRule function();
#include "core/optimizers/optimizers.def"
#undef OPTIMIZER

const std::vector<OptimizerRule>& optimizers() {
  static const std::vector<OptimizerRule> all = {
#define OPTIMIZER(function) function(),
#include "core/optimizers/optimizers.def"
#undef OPTIMIZER
  };
  return all;
}

const OptimizerRule& find_optimizer(std::string_view name) {
  const auto found = std::ranges::find(optimizers(), name, &OptimizerRule::name);
  if (found == optimizers().end()) fail(ErrorKind::Internal, "there is no optimiser '{}'", name);
  return *found;
}

void emit_step(UpdateGraph& update, ParamUpdate& param, const char* op, Attrs attrs, std::vector<ValueId> more) {
  attrs.set("lr", param.lr);
  attrs.set("weight_decay", param.weight_decay);
  std::vector<ValueId> in{param.weight, param.gradient};
  in.insert(in.end(), param.slots.begin(), param.slots.end());
  in.insert(in.end(), {param.keep, param.moves, update.grad_scale(), param.rate});
  in.insert(in.end(), more.begin(), more.end());
  const std::vector<ValueId> out = update.graph().emit(op, in, std::move(attrs), param.name + "/update");
  param.new_weight = out[0];
  param.new_slots.assign(out.begin() + 1, out.end());
}

}  // namespace winnow
