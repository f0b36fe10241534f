#include "core/optimizer.h"

#include <utility>

#include "core/optimizers/optimizer_rule.h"

namespace winnow {
namespace {

UpdateGraph update_graph(const Settings& train, const ParamStore& params, Method& method, int phase) {
  UpdateGraph update(params, train, phase);
  const OptimizerRule& rule = find_optimizer(train.text("optimizer"));
  method.edit_update(update);
  update.emit_steps([&](ParamUpdate& param) { rule.emit(update, param, train); });
  return update;
}

// New values are written where the old ones are.
Program compile(UpdateGraph& update, ParamStore& params, int threads, RunState* state) {
  std::vector<Binding> bindings;
  std::vector<ValueId> outputs;
  const auto in_place = [&](ValueId before, ValueId after, float* data) {
    bindings.push_back({before, data});
    bindings.push_back({after, data});
    outputs.push_back(after);
  };
  for (const ParamUpdate& param : update.updates()) {
    in_place(param.weight, param.new_weight, params.weight_memory(param.id).as<float>());
    for (std::size_t s = 0; s < param.slots.size(); ++s) {
      in_place(param.slots[s], param.new_slots[s], params.slot_memory(param.id, static_cast<int>(s)).as<float>());
    }
    bindings.push_back({param.grad, params.grad_memory(param.id).data});
    bindings.push_back({param.keep, nullptr});
    bindings.push_back({param.train, nullptr});
  }
  for (const auto& [leaf, index] : update.buffers()) bindings.push_back({leaf, params.buffer_memory(index).data});
  return Program(update.graph(), outputs, bindings, threads, Device::Cpu, state);
}

// A mask's bytes, or null while every entry is kept or trained; programs do not write masks.
void* memory_of(std::span<const std::uint8_t> mask) {
  return mask.empty() ? nullptr : const_cast<std::uint8_t*>(mask.data());
}

}  // namespace

Optimizer::Optimizer(const Settings& train, ParamStore& params, Method& method, int threads, RunState* state)
    : Optimizer(update_graph(train, params, method, 0), train, params, method, threads, state) {}

Optimizer::Optimizer(UpdateGraph update, const Settings& train, ParamStore& params, Method& method, int threads,
                     RunState* state)
    : train_(train),
      params_(params),
      method_(method),
      threads_(threads),
      state_(state),
      graph_(update.graph()),
      program_(compile(update, params, threads, state)) {
  note_masks(update);
}

void Optimizer::note_masks(UpdateGraph& update) {
  masks_.clear();
  for (const ParamUpdate& param : update.updates()) masks_.push_back({param.id, param.keep, param.train});
}

void Optimizer::enter_phase(int phase) {
  if (phase == std::exchange(phase_, phase)) return;
  UpdateGraph update = update_graph(train_, params_, method_, phase);
  if (update.graph() == graph_) return;
  graph_ = update.graph();
  program_ = compile(update, params_, threads_, state_);
  note_masks(update);
}

int Optimizer::slots(const Settings& train) { return find_optimizer(train.text("optimizer")).slots; }

void Optimizer::update(double learning_rate, std::int64_t number) {
  for (const auto& [id, keep, train] : masks_) {
    program_.bind(keep, memory_of(params_.mask(id, MaskKind::Keep)));
    program_.bind(train, memory_of(params_.mask(id, MaskKind::Trainable)));
  }
  RunFeed feed = program_.state().feed;
  feed.learning_rate = learning_rate;
  feed.update = number;
  program_.run(feed);
}

}  // namespace winnow
