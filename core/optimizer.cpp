#include "core/optimizer.h"

#include <algorithm>
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
void bind_inputs(const ParamUpdate& param, const ParamStore& params, std::vector<Binding>& bindings) {
  bindings.push_back({param.weight, params.weight_memory(param.id).data});
  bindings.push_back({param.grad, params.grad_memory(param.id).data});
  bindings.push_back({param.keep, nullptr});
  bindings.push_back({param.train, nullptr});
  for (std::size_t s = 0; s < param.slots.size(); ++s) {
    bindings.push_back({param.slots[s], params.slot_memory(param.id, static_cast<int>(s)).data});
  }
}

// New values are written where the old ones are.
Program compile(UpdateGraph& update, const ParamStore& params, const Mirrored& factors, const RunContext& context) {
  std::vector<Binding> bindings;
  std::vector<ValueId> outputs;
  for (std::size_t u = 0; u < update.updates().size(); ++u) {
    const ParamUpdate& param = update.updates()[u];
    bind_inputs(param, params, bindings);
    bindings.push_back({param.rate, factors.memory().as<float>() + u});
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
  return {update.graph(), outputs, bindings, context};
}

Mirrored ones(std::size_t count, const RunContext& context) {
  Mirrored all(DType::F32, {static_cast<std::int64_t>(count)}, context.stream());
  std::ranges::fill(all.overwrite(), 1.0f);
  return all;
}

}  // namespace

Optimizer::Optimizer(const Settings& train, ParamStore& params, Method& method, const RunContext& context,
                     std::span<const ParamId> resting)
    : Optimizer(update_graph(train, params, method, 0, resting), train, params, method, context, resting) {
  const OptimizerRule& rule = find_optimizer(train.text("optimizer"));
  if (rule.point == nullptr) return;
  UpdateGraph graph(params, train, 0, resting);
  rule.point(graph, train);
  std::vector<Masks> masks;
  std::vector<Memory> memory;
  std::vector<Point> point;
  std::vector<Binding> bindings;
  std::vector<ValueId> outputs;
  for (const ParamUpdate& param : graph.updates()) {
    bind_inputs(param, params, bindings);
    masks.push_back({param.id, param.keep, param.train});
    std::byte* values = memory.emplace_back(context_.stream(), params.weight_memory(param.id).bytes()).get();
    point.push_back({param.id, values});
    bindings.push_back({param.new_weight, values});
    outputs.push_back(param.new_weight);
  }
  Program program(graph.graph(), outputs, bindings, context_);
  point_ = PointProgram{std::move(masks), std::move(memory), std::move(point), std::move(program)};
}

Optimizer::Optimizer(UpdateGraph update, const Settings& train, ParamStore& params, Method& method,
                     const RunContext& context, std::span<const ParamId> resting)
    : train_(train),
      params_(params),
      method_(method),
      context_(context),
      resting_(resting.begin(), resting.end()),
      graph_(update.graph()),
      factors_(ones(update.updates().size(), context)),
      program_(compile(update, params, factors_, context)) {
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
  program_ = compile(update, params_, factors_, context_);
  note_masks(update);
}

const SlotShapes& Optimizer::slots(const Settings& train) { return find_optimizer(train.text("optimizer")).slots; }

int Optimizer::passes(const Settings& train) {
  return find_optimizer(train.text("optimizer")).point != nullptr ? 2 : 1;
}

void Optimizer::bind_masks(Program& program, const std::vector<Masks>& masks) {
  for (const auto& [id, keep, train] : masks) {
    program.bind(keep, params_.mask_memory(id, MaskKind::Keep));
    program.bind(train, params_.mask_memory(id, MaskKind::Trainable));
  }
}

void Optimizer::update(double learning_rate, std::int64_t number, std::span<const double> factors) {
  params_.send();
  bind_masks(program_, masks_);
  for (std::size_t u = 0; u < masks_.size() && !factors.empty(); ++u) {
    const auto factor = static_cast<float>(factors[static_cast<std::size_t>(masks_[u].id)]);
    if (factors_.read()[u] != factor) factors_.change()[u] = factor;
  }
  factors_.send();
  RunFeed feed = context_.feed();
  feed.learning_rate = learning_rate;
  feed.update = number;
  program_.run(feed);
  params_.update_written();
}

std::span<const Optimizer::Point> Optimizer::point() {
  params_.send();
  bind_masks(point_->program, point_->masks);
  point_->program.run(context_.feed());
  return point_->point;
}

std::vector<Program*> Optimizer::programs() {
  std::vector<Program*> all = {&program_};
  if (point_) all.push_back(&point_->program);
  return all;
}

std::size_t Optimizer::point_bytes() const {
  std::size_t bytes = 0;
  if (!point_) return bytes;
  for (const Memory& values : point_->memory) bytes += values.bytes();
  return bytes;
}

}  // namespace winnow
