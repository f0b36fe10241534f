// What an optimiser is: its state, its settings and the nodes of its step. One file in core/optimizers/ defines one
// family and one line in optimizers.def lists each member.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/update_graph.h"

namespace winnow {

struct OptimizerRule {
  std::string_view name;  // train.optimizer
  SlotShapes slots;       // its state of a parameter
  // Sets new_weight and new_slots of one parameter.
  void (*emit)(UpdateGraph& update, ParamUpdate& param, const Settings& train);
  // Settings below "train." that it reads, without the condition that it is chosen. Two that read the same declare it alike.
  Schema settings = {};
  // Where it takes the gradient of the update: sets each parameter's new_weight from the gradient at the weights. The same
  // batch is then run again there. Absent: at the weights, in one pass.
  void (*point)(UpdateGraph& update, const Settings& train) = nullptr;
};

const OptimizerRule& find_optimizer(std::string_view name);  // unknown: Error{Internal}; settings refuse it before
const std::vector<OptimizerRule>& optimizers();              // the first is the default

// The inputs of every step op (core/ops/optimizer_steps.cpp) and `more`, and the attributes that all of them have.
void emit_step(UpdateGraph& update, ParamUpdate& param, const char* op, Attrs attrs, std::vector<ValueId> more = {});

// The step of SGD and its settings, on which other rules build.
void emit_sgd(UpdateGraph& update, ParamUpdate& param, const Settings& train);
Schema sgd_settings();

}  // namespace winnow
