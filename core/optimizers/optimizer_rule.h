// What an optimiser is: its state and the nodes of its step. One file in core/optimizers/ defines one
// family and one line in registry.cpp lists each member.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/update_graph.h"

namespace winnow {

struct OptimizerRule {
  std::string_view name;  // train.optimizer
  int slots;              // state tensors of the weight's shape
  // Sets new_weight and new_slots of one parameter.
  void (*emit)(UpdateGraph& update, ParamUpdate& param, const Settings& train);
};

const OptimizerRule& find_optimizer(std::string_view name);  // unknown: Error{Internal}; settings refuse it before
std::vector<std::string> optimizer_names();                  // the first is the default

// The inputs of every step op (core/ops/optimizer_steps.cpp), and the attributes that all of them have.
void emit_step(UpdateGraph& update, ParamUpdate& param, const char* op, Attrs attrs);

}  // namespace winnow
