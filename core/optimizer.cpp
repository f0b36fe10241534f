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
struct Places {
  std::vector<Binding> bindings;
  std::vector<ValueId> outputs;
};
Places places_of(UpdateGraph& update, const ParamStore& params) {
  Places places;
  for (const ParamUpdate& param : update.updates()) {
    bind_inputs(param, params, places.bindings);
    places.bindings.push_back({param.new_weight, params.weight_memory(param.id).data});
    places.outputs.push_back(param.new_weight);
    for (std::size_t s = 0; s < param.slots.size(); ++s) {
      places.bindings.push_back({param.new_slots[s], params.slot_memory(param.id, static_cast<int>(s)).data});
      places.outputs.push_back(param.new_slots[s]);
    }
  }
  for (const auto& [leaf, id] : update.untrained()) places.bindings.push_back({leaf, params.weight_memory(id).data});
  for (const auto& [value, index] : update.new_buffers()) {
    places.bindings.push_back({value, params.buffer_memory(index).data});
    places.outputs.push_back(value);
  }
  return places;
}

}  // namespace

Optimizer::Optimizer(const Settings& train, ParamStore& params, Method& method, const RunContext& context,
                     std::span<const ParamId> resting, UpdatePrograms* kept)
    : train_(train),
      params_(params),
      method_(method),
      context_(context),
      resting_(resting.begin(), resting.end()),
      kept_(kept) {
  take(update_graph(train, params, method, 0, resting));
  if (find_optimizer(train.text("optimizer")).point != nullptr) find_point();
}

void Optimizer::take(UpdateGraph update) {
  masks_.clear();
  for (const ParamUpdate& param : update.updates()) masks_.push_back({param.id, param.keep, param.train});
  Places places = places_of(update, params_);
  update_.reset();
  update_ = kept().find(update.graph(), places.bindings, [&] {
    Mirrored factors(DType::F32, {static_cast<std::int64_t>(masks_.size())}, context_.stream());
    std::vector<Binding> bindings = places.bindings;
    for (std::size_t u = 0; u < masks_.size(); ++u) {
      bindings.push_back({update.updates()[u].rate, factors.memory().as<float>() + u});
    }
    Program program(update.graph(), places.outputs, bindings, context_);
    return CompiledUpdate{update.graph(), std::move(places.bindings), std::move(factors), {}, std::move(program)};
  });
  std::ranges::fill(update_->factors.overwrite(), 1.0f);
}

void Optimizer::find_point() {
  UpdateGraph graph(params_, train_, 0, resting_);
  find_optimizer(train_.text("optimizer")).point(graph, train_);
  Places places;
  for (const ParamUpdate& param : graph.updates()) {
    bind_inputs(param, params_, places.bindings);
    places.outputs.push_back(param.new_weight);
    point_masks_.push_back({param.id, param.keep, param.train});
  }
  to_point_ = kept().find(graph.graph(), places.bindings, [&] {
    std::vector<Binding> bindings = places.bindings;
    std::vector<Memory> memory;
    for (const ParamUpdate& param : graph.updates()) {
      const std::size_t bytes = params_.weight_memory(param.id).bytes();
      bindings.push_back({param.new_weight, memory.emplace_back(context_.stream(), bytes).get()});
    }
    Program program(graph.graph(), places.outputs, bindings, context_);
    return CompiledUpdate{graph.graph(), std::move(places.bindings), {}, std::move(memory), std::move(program)};
  });
  for (std::size_t u = 0; u < point_masks_.size(); ++u) {
    point_.push_back({point_masks_[u].id, to_point_->memory[u].get()});
  }
}

void Optimizer::enter_phase(int phase) {
  if (phase == std::exchange(phase_, phase)) return;
  UpdateGraph update = update_graph(train_, params_, method_, phase, resting_);
  if (update.graph() == update_->graph) return;
  take(std::move(update));
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
  bind_masks(update_->program, masks_);
  Mirrored& known = update_->factors;
  for (std::size_t u = 0; u < masks_.size() && !factors.empty(); ++u) {
    const auto factor = static_cast<float>(factors[static_cast<std::size_t>(masks_[u].id)]);
    if (known.read()[u] != factor) known.change()[u] = factor;
  }
  known.send();
  RunFeed feed = context_.feed();
  feed.learning_rate = learning_rate;
  feed.update = number;
  update_->program.run(feed);
  params_.update_written();
}

std::span<const Optimizer::Point> Optimizer::point() {
  params_.send();
  bind_masks(to_point_->program, point_masks_);
  to_point_->program.run(context_.feed());
  return point_;
}

std::vector<Program*> Optimizer::programs() {
  std::vector<Program*> all = {&update_->program};
  if (to_point_) all.push_back(&to_point_->program);
  return all;
}

std::size_t Optimizer::point_bytes() const {
  std::size_t bytes = 0;
  if (!to_point_) return bytes;
  for (const Memory& values : to_point_->memory) bytes += values.bytes();
  return bytes;
}

}  // namespace winnow
