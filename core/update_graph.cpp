#include "core/update_graph.h"

#include <algorithm>

#include "core/error.h"

namespace winnow {
namespace {

bool is_norm_or_bias(ParamRole role) {
  return role == ParamRole::Bias || role == ParamRole::NormScale || role == ParamRole::NormShift;
}

}  // namespace

UpdateGraph::UpdateGraph(const ParamStore& params, const Settings& train, int phase, std::span<const ParamId> resting)
    : params_(params), phase_(phase) {
  for (std::size_t p = 0; p < params.size(); ++p) {
    const ParamSpec& spec = params.specs()[p];
    if (!spec.trainable || spec.retired || std::ranges::find(resting, ParamId(p)) != resting.end()) continue;
    ParamUpdate update{.id = ParamId(p), .name = spec.name};
    update.weight = graph_.input(spec.name, spec.shape);
    update.grad = update.gradient = graph_.input(spec.name + "/grad", spec.shape);
    for (int s = 0; s < params.slot_count(update.id); ++s) {
      update.slots.push_back(graph_.input(fmt::format("{}/slot{}", spec.name, s), params.slot_shape(update.id, s)));
    }
    update.keep = graph_.input(spec.name + "/keep", spec.shape, DType::U8);
    update.train = update.moves = graph_.input(spec.name + "/train", spec.shape, DType::U8);
    update.rate = graph_.input(spec.name + "/rate", Shape{1});
    update.lr = spec.lr;
    const bool decays = !is_norm_or_bias(spec.role) || train.flag("decay_norm");
    update.weight_decay = decays ? train.real("weight_decay") * spec.decay : 0.0;
    updates_.push_back(std::move(update));
  }
  const double clip = train.real("clip_norm");
  if (clip > 0) grad_scale_ = over_gradients("clip_scale", {{"most", clip}}, "clip_norm");
}

ValueId UpdateGraph::over_gradients(const char* op, Attrs attrs, const char* name) {
  std::vector<ValueId> in;
  for (const ParamUpdate& update : updates_) in.insert(in.end(), {update.grad, update.keep, update.train});
  return in.empty() ? kNoValue : graph_.emit1(op, in, std::move(attrs), name);
}

ValueId UpdateGraph::weight(ParamId id) {
  const auto trained = std::ranges::find(updates_, id, &ParamUpdate::id);
  if (trained != updates_.end()) return trained->weight;
  const auto known = std::ranges::find(untrained_, id, &std::pair<ValueId, ParamId>::second);
  if (known != untrained_.end()) return known->first;
  const ParamSpec& spec = params_.specs()[static_cast<std::size_t>(id)];
  return untrained_.emplace_back(graph_.input(spec.name, spec.shape), id).first;
}

void UpdateGraph::set_buffer(const std::string& name, ValueId value) {
  const auto specs = params_.buffer_specs();
  const auto spec = std::ranges::find(specs, name, &BufferSpec::name);
  if (spec == specs.end()) fail(ErrorKind::Internal, "the network has no buffer '{}'", name);
  const ValueInfo& info = graph_.value(value);
  if (info.dtype != DType::F32 || info.shape.numel() != spec->shape.numel()) {
    fail(ErrorKind::Internal, "buffer '{}' is {} f32, not {} {}", name, spec->shape.text(), info.shape.text(),
         name_of(info.dtype));
  }
  new_buffers_.emplace_back(value, static_cast<std::size_t>(spec - specs.begin()));
}

void UpdateGraph::before(ParamId id, const std::function<ValueId(ValueId, ValueId)>& f) {
  for (ParamUpdate& update : updates_) {
    if (update.id == id) update.gradient = f(update.gradient, update.weight);
  }
}

void UpdateGraph::then(ParamId id, std::function<ValueId(ValueId)> f) {
  after_.emplace_back([id, f = std::move(f)](UpdateGraph& self) {
    for (ParamUpdate& update : self.updates_) {
      if (update.id == id) update.new_weight = f(update.new_weight);
    }
  });
}

void UpdateGraph::then(std::function<void(UpdateGraph&)> f) { after_.push_back(std::move(f)); }

void UpdateGraph::emit_steps(const std::function<void(ParamUpdate&)>& step) {
  for (ParamUpdate& update : updates_) step(update);
  for (const auto& f : after_) f(*this);
}

}  // namespace winnow
