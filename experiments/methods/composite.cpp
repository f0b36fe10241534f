#include "experiments/methods/composite.h"

#include <algorithm>
#include <utility>

namespace winnow {
namespace {

// Keys of a part are its own: "<name>/<key>".
class PartWriter final : public StateWriter {
 public:
  PartWriter(StateWriter& out, const std::string& name) : out_(out), prefix_(name + "/") {}
  void put(std::string_view key, std::span<const std::byte> value) override {
    out_.put(prefix_ + std::string(key), value);
  }

 private:
  StateWriter& out_;
  std::string prefix_;
};

class PartReader final : public StateReader {
 public:
  PartReader(StateReader& in, const std::string& name) : in_(in), prefix_(name + "/") {}
  std::span<const std::byte> get(std::string_view key) override { return in_.get(prefix_ + std::string(key)); }
  std::vector<std::string> unread() const override {
    std::vector<std::string> keys;
    for (const std::string& key : in_.unread()) {
      if (key.starts_with(prefix_)) keys.push_back(key.substr(prefix_.size()));
    }
    return keys;
  }

 private:
  StateReader& in_;
  std::string prefix_;
};

// Structure first, so that re-parametrisations find the layers it adds; masks last, on what is then prunable.
int edit_rank(const Method& method) {
  const Touches touches = method.touches();
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
  }
  return all;
}

void Composite::edit(GraphEditor& editor) {
  for (const Part& part : parts_) part.method->edit(editor);
}

void Composite::schedule(EventPlan& plan, const RunLength& length) const {
  std::vector<EventPlan> plans(parts_.size());
  for (std::size_t i = 0; i < parts_.size(); ++i) parts_[i].method->schedule(plans[i], length);
  const auto any = [&plans](bool (EventPlan::*wants)(std::int64_t) const) -> EventPlan::At {
    return [plans, wants](std::int64_t step) {
      return std::any_of(plans.begin(), plans.end(), [&](const EventPlan& one) { return (one.*wants)(step); });
    };
  };
  plan.after_backward(any(&EventPlan::wants_after_backward));
  if (std::ranges::any_of(plans, &EventPlan::may_want_dense)) plan.dense_gradients(any(&EventPlan::wants_dense));
  plan.after_step(any(&EventPlan::wants_after_step));
}

Verdict Composite::on_event(const Moment& moment, TrainState& state) {
  Verdict verdict = Verdict::Update;
  for (const Part& part : parts_) {
    if (part.method->on_event(moment, state) == Verdict::SkipUpdate) verdict = Verdict::SkipUpdate;
  }
  return verdict;
}

void Composite::edit_update(UpdateGraph& update) {
  for (const Part& part : parts_) part.method->edit_update(update);
}

void Composite::forecast(MaskForecast& forecast, const Model& edited, const RunLength& length) const {
  for (const Part& part : parts_) part.method->forecast(forecast, edited, length);
  std::ranges::stable_sort(forecast.changes, {},
                           [](const MaskForecast::Change& c) { return std::pair(c.phase, c.step); });
}

std::optional<Phase> Composite::phase(int index, const RunLength& length) const {
  for (const Part& part : parts_) {
    if (part.method->touches().phases) return part.method->phase(index, length);
  }
  return Method::phase(index, length);
}

void Composite::save(StateWriter& out) const {
  for (const Part& part : parts_) {
    PartWriter own(out, part.name);
    part.method->save(own);
  }
}

void Composite::load(StateReader& in) {
  for (const Part& part : parts_) {
    PartReader own(in, part.name);
    part.method->load(own);
  }
}

void Composite::report(TrainState& state, Facts& facts) const {
  for (const Part& part : parts_) part.method->report(state, facts);
}

}  // namespace winnow
