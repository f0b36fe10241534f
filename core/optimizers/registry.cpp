// Every optimiser, one line each.
#include <algorithm>

#include "core/error.h"
#include "core/optimizers/optimizer_rule.h"

namespace winnow {

void emit_sgd(UpdateGraph&, ParamUpdate&, const Settings&);
void emit_adam(UpdateGraph&, ParamUpdate&, const Settings&);
void emit_adamw(UpdateGraph&, ParamUpdate&, const Settings&);

namespace {

const OptimizerRule kOptimizers[] = {
    {"sgd", 1, emit_sgd},
    {"adam", 2, emit_adam},
    {"adamw", 2, emit_adamw},
};

}  // namespace

const OptimizerRule& find_optimizer(std::string_view name) {
  const auto* found = std::ranges::find(kOptimizers, name, &OptimizerRule::name);
  if (found == std::end(kOptimizers)) fail(ErrorKind::Internal, "there is no optimiser '{}'", name);
  return *found;
}

std::vector<std::string> optimizer_names() {
  std::vector<std::string> names;
  for (const OptimizerRule& rule : kOptimizers) names.emplace_back(rule.name);
  return names;
}

void emit_step(UpdateGraph& update, ParamUpdate& param, const char* op, Attrs attrs) {
  attrs.set("lr", param.lr);
  attrs.set("weight_decay", param.weight_decay);
  attrs.set("decay_frozen", std::int64_t{param.decays_frozen});
  std::vector<ValueId> in{param.weight, param.gradient};
  in.insert(in.end(), param.slots.begin(), param.slots.end());
  in.insert(in.end(), {param.keep, param.train, update.grad_scale()});
  const std::vector<ValueId> out = update.graph().emit(op, in, std::move(attrs), param.name + "/update");
  param.new_weight = out[0];
  param.new_slots.assign(out.begin() + 1, out.end());
}

}  // namespace winnow
