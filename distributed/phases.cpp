#include "distributed/phases.h"

#include <algorithm>

#include "core/error.h"
#include "core/optimizer.h"

namespace winnow {

void Phases::put_start_values() {
  for (const auto& [name, values] : job_.start) {
    std::span<float> target;
    for (std::size_t p = 0; p < params_.size(); ++p) {
      if (params_.specs()[p].name == name) target = params_.change(ParamId(p));
    }
    for (std::size_t b = 0; b < params_.buffer_count(); ++b) {
      if (params_.buffer_specs()[b].name == name) target = params_.change_buffer(b);
    }
    if (target.size() != values.size()) {
      fail(ErrorKind::Settings, "init.from: tensor '{}' has {} values, the model needs {}", name, values.size(),
           target.size());
    }
    std::ranges::copy(values, target.begin());
  }
}

void Phases::gather(const Model& before, const Model& now, const ChannelCut& cut) {
  const SlotShapes& slots = Optimizer::slots(job_.train);
  for (auto& [step, snapshot] : snapshots_) {
    ParamStore values(before, slots);
    values.load(snapshot, true, false);
    values.gather(now, cut);
    snapshot = {};
    values.save(snapshot, true, false);
  }
}

void Phases::save(StateWriter& out) const {
  std::vector<std::int64_t> steps;
  for (const auto& [step, snapshot] : snapshots_) {
    steps.push_back(step);
    PrefixWriter own(out, fmt::format("snapshot/{}", step));
    snapshot.copy_to(own);
  }
  out.put_values<std::int64_t>("snapshots", steps);
}

void Phases::load(StateReader& in) {
  snapshots_.clear();
  for (const std::int64_t step : in.get_list<std::int64_t>("snapshots")) {
    PrefixReader own(in, fmt::format("snapshot/{}", step));
    for (const std::string& key : own.unread()) snapshots_[step].put(key, own.get(key));
  }
}

void Phases::enter(const Phase& phase) {
  if (phase.start == Phase::Start::Initial) {
    params_.initialise(job_.seeds.init);
    put_start_values();
  } else if (phase.start == Phase::Start::Rewind) {
    const auto snapshot = snapshots_.find(phase.first_step);
    if (snapshot == snapshots_.end()) {
      fail(ErrorKind::Internal, "there is no snapshot of step {} to rewind to", phase.first_step);
    }
    params_.load(snapshot->second, true, false);
  }
  if (phase.reset_optimizer) params_.reset_slots();
}

}  // namespace winnow
