#include "core/optimizer.h"

#include <utility>

#include "core/optimizers/optimizer_rule.h"

namespace winnow {
namespace {

UpdateGraph update_graph(const Settings& train, const ParamStore& params, Method& method, int phase,
                         std::span<const ParamId> resting) {
  UpdateGraph update(params, train, phase, resting);
  const OptimizerRule& rule = find_optimizer(train.text("optimizer"));
  method.edit_update(update);
  update.emit_steps([&](ParamUpdate& param) { rule.emit(update, param, train); });
  return update;
}

// What both programs read, apart from new values.
void bind_inputs(const ParamUpdate& param, ParamStore& params, std::vector<Binding>& bindings) {
  bindings.push_back({param.weight, params.weight_memory(param.id).data});
  bindings.push_back({param.grad, params.grad_memory(param.id).data});
  bindings.push_back({param.keep, nullptr});
  bindings.push_back({param.train, nullptr});
  for (std::size_t s = 0; s < param.slots.size(); ++s) {
    bindings.push_back({param.slots[s], params.slot_memory(param.id, static_cast<int>(s)).data});
  }
}

// New values are written where the old ones are.
Program compile(UpdateGraph& update, ParamStore& params, std::span<float> factors, int threads, RunState* state) {
  std::vector<Binding> bindings;
  std::vector<ValueId> outputs;
  for (std::size_t u = 0; u < update.updates().size(); ++u) {
    const ParamUpdate& param = update.updates()[u];
    bind_inputs(param, params, bindings);
    bindings.push_back({param.rate, &factors[u]});
    bindings.push_back({param.new_weight, params.weight_memory(param.id).data});
    outputs.push_back(param.new_weight);
    for (std::size_t s = 0; s < param.slots.size(); ++s) {
      bindings.push_back({param.new_slots[s], params.slot_memory(param.id, static_cast<int>(s)).data});
      outputs.push_back(param.new_slots[s]);
    }
  }
  for (const auto& [leaf, id] : update.untrained()) bindings.push_back({leaf, params.weight_memory(id).data});
  for (const auto& [value, index] : update.new_buffers()) {
    bindings.push_back({value, params.buffer_memory(index).data});
    outputs.push_back(value);
  }
  return Program(update.graph(), outputs, bindings, threads, Device::Cpu, state);
}

// A mask's bytes, or null while every entry is kept or trained; programs do not write masks.
void* memory_of(std::span<const std::uint8_t> mask) {
  return mask.empty() ? nullptr : const_cast<std::uint8_t*>(mask.data());
}

}  // namespace

Optimizer::Optimizer(const Settings& train, ParamStore& params, Method& method, int threads, RunState* state,
                     std::span<const ParamId> resting)
    : Optimizer(update_graph(train, params, method, 0, resting), train, params, method, threads, state, resting) {
  const OptimizerRule& rule = find_optimizer(train.text("optimizer"));
  if (rule.point == nullptr) return;
  UpdateGraph graph(params, train, 0, resting);
  rule.point(graph, train);
  std::vector<Masks> masks;
  std::vector<Tensor> memory;
  std::vector<Point> point;
  std::vector<Binding> bindings;
  std::vector<ValueId> outputs;
  for (const ParamUpdate& param : graph.updates()) {
    bind_inputs(param, params, bindings);
    masks.push_back({param.id, param.keep, param.train});
    Tensor& values = memory.emplace_back(DType::F32, params.weight_memory(param.id).shape);
    point.push_back({param.id, values.as<float>()});
    bindings.push_back({param.new_weight, values.as<float>()});
    outputs.push_back(param.new_weight);
  }
  Program program(graph.graph(), outputs, bindings, threads, Device::Cpu, state);
  point_ = PointProgram{std::move(masks), std::move(memory), std::move(point), std::move(program)};
}

Optimizer::Optimizer(UpdateGraph update, const Settings& train, ParamStore& params, Method& method, int threads,
                     RunState* state, std::span<const ParamId> resting)
    : train_(train),
      params_(params),
      method_(method),
      threads_(threads),
      state_(state),
      resting_(resting.begin(), resting.end()),
      graph_(update.graph()),
      factors_(update.updates().size(), 1.0f),
      program_(compile(update, params, factors_, threads, state)) {
  note_masks(update);
}

void Optimizer::note_masks(UpdateGraph& update) {
  masks_.clear();
  for (const ParamUpdate& param : update.updates()) masks_.push_back({param.id, param.keep, param.train});
}

void Optimizer::enter_phase(int phase) {
  if (phase == std::exchange(phase_, phase)) return;
  UpdateGraph update = update_graph(train_, params_, method_, phase, resting_);
  if (update.graph() == graph_) return;
  if (update.graph().same_but_reals(graph_)) {
    program_.set_reals(update.graph());
    graph_ = update.graph();
    return;
  }
  graph_ = update.graph();
  program_ = compile(update, params_, factors_, threads_, state_);
  note_masks(update);
}

const SlotShapes& Optimizer::slots(const Settings& train) { return find_optimizer(train.text("optimizer")).slots; }

int Optimizer::passes(const Settings& train) {
  return find_optimizer(train.text("optimizer")).point != nullptr ? 2 : 1;
}

void Optimizer::bind_masks(Program& program, const std::vector<Masks>& masks) {
  for (const auto& [id, keep, train] : masks) {
    program.bind(keep, memory_of(params_.mask(id, MaskKind::Keep)));
    program.bind(train, memory_of(params_.mask(id, MaskKind::Trainable)));
  }
}

void Optimizer::update(double learning_rate, std::int64_t number, std::span<const double> factors) {
  bind_masks(program_, masks_);
  for (std::size_t u = 0; u < masks_.size() && !factors.empty(); ++u) {
    factors_[u] = static_cast<float>(factors[static_cast<std::size_t>(masks_[u].id)]);
  }
  RunFeed feed = program_.state().feed;
  feed.learning_rate = learning_rate;
  feed.update = number;
  program_.run(feed);
}

std::span<const Optimizer::Point> Optimizer::point() {
  bind_masks(point_->program, point_->masks);
  point_->program.run(point_->program.state().feed);
  return point_->point;
}

std::size_t Optimizer::point_bytes() const {
  std::size_t bytes = 0;
  if (!point_) return bytes;
  for (const Tensor& values : point_->memory) bytes += values.view().bytes();
  return bytes;
}

}  // namespace winnow
