#include "experiments/methods/composite.h"

#include <algorithm>
#include <utility>

namespace winnow {
namespace {

// Structure first, so that re-parametrisations find the layers it adds; masks late, on what is then prunable; who removes
// channels last, since that finds out what cannot lose any.
int edit_rank(const Method& method) {
  const Touches touches = method.touches();
  if (touches.channels) return 3;
  if (touches.weights_source) return 1;
  return touches.structure ? 0 : 2;
}

}  // namespace

Composite::Composite(std::vector<Part> parts) : parts_(std::move(parts)) {
  std::stable_sort(parts_.begin(), parts_.end(), [](const Part& a, const Part& b) {
    return std::pair(edit_rank(*a.method), a.name) < std::pair(edit_rank(*b.method), b.name);
  });
}

Touches Composite::touches() const {
  Touches all;
  for (const Part& part : parts_) {
    const Touches one = part.method->touches();
    all.structure |= one.structure;
    all.weights_source |= one.weights_source;
    all.masks |= one.masks;
    all.phases |= one.phases;
    all.stored_form |= one.stored_form;
    all.evaluation |= one.evaluation;
    all.channels |= one.channels;
  }
  return all;
}

void Composite::take(const Needed& needed) {
  for (const Part& part : parts_) {
    if (part.name == needed.method) part.method->take(needed);
  }
}

void Composite::edit(GraphEditor& editor) {
  for (const Part& part : parts_) part.method->edit(editor);
}

void Composite::schedule(EventPlan& plan, const RunLength& length) const {
  asked_for_.clear();
  for (const Part& part : parts_) {
    EventPlan& own = asked_for_.emplace_back();
    part.method->schedule(own, length);
    plan.add(own);
  }
}

bool Composite::concerns(std::size_t part, const Moment& moment) const {
  if (part >= asked_for_.size()) return true;
  if (moment.when == When::AfterStep) return asked_for_[part].after_step.contains(moment.step);
  return moment.when != When::AfterBackward || asked_for_[part].after_backward.contains(moment.step);
}

double Composite::rate(ParamId param, std::int64_t step, const RunLength& length) const {
  double factor = 1;
  for (const Part& part : parts_) factor *= part.method->rate(param, step, length);
  return factor;
}

Verdict Composite::on_event(const Moment& moment, TrainState& state) {
  Verdict verdict = Verdict::Update;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    if (!concerns(i, moment)) continue;
    if (parts_[i].method->on_event(moment, state) == Verdict::SkipUpdate) verdict = Verdict::SkipUpdate;
  }
  return verdict;
}

void Composite::edit_update(UpdateGraph& update) {
  for (const Part& part : parts_) part.method->edit_update(update);
}

void Composite::forecast(MaskForecast& forecast, const Model& edited, const RunLength& length) const {
  for (const Part& part : parts_) part.method->forecast(forecast, edited, length);
  const auto moment = [](const auto& change) { return std::pair(change.phase, change.step); };
  std::ranges::stable_sort(forecast.changes, {}, moment);
  std::ranges::stable_sort(forecast.removals, {}, moment);
}

std::optional<Phase> Composite::phase(int index, const RunLength& length) const {
  for (const Part& part : parts_) {
    if (part.method->touches().phases) return part.method->phase(index, length);
  }
  return Method::phase(index, length);
}

std::optional<Encoded> Composite::encode(ParamId id, const ParamStore& params) {
  for (const Part& part : parts_) {
    if (auto encoded = part.method->encode(id, params)) return encoded;
  }
  return std::nullopt;
}

void Composite::save(StateWriter& out) const {
  for (const Part& part : parts_) {
    PrefixWriter own(out, part.name);
    part.method->save(own);
  }
}

void Composite::load(StateReader& in) {
  for (const Part& part : parts_) {
    PrefixReader own(in, part.name);
    part.method->load(own);
  }
}

void Composite::report(TrainState& state, Facts& facts) const {
  for (const Part& part : parts_) part.method->report(state, facts);
}

}  // namespace winnow
