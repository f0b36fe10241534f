#include "experiments/methods/toolkit/dynamic_sparse.h"

#include <algorithm>

#include "experiments/methods/toolkit/drop_grow.h"

namespace winnow {

void DynamicSparse::save(StateWriter& out) const {
  out.put_value("dynamic_sparse.last_update", last_update_);
  out.put_value("dynamic_sparse.active", static_cast<std::uint8_t>(active_));
}

void DynamicSparse::load(StateReader& in) {
  last_update_ = in.get_value<std::int64_t>("dynamic_sparse.last_update");
  active_ = in.get_value<std::uint8_t>("dynamic_sparse.active") != 0;
}

void DynamicSparse::forecast(MaskForecast& forecast, const Model& edited, const RunLength&) const {
  const std::vector<PrunedTensor> tensors = pruned_tensors(edited.params);
  const DensityTarget target = density_target(settings_, tensors, Scope::Layer);
  if (!target.keeps_all(tensors)) forecast.changes.push_back({.ones = expected_counts(target, tensors)});
}

void DynamicSparse::start(TrainState& state) {
  const std::vector<PrunedTensor> tensors = pruned_tensors(state);
  const DensityTarget target = density_target(settings_, tensors, Scope::Layer);
  active_ = !target.keeps_all(tensors);
  if (!active_) return;
  set_masks(state, tensors, select(target, tensors, random_scores(state, tensors, "mask")), MaskKind::Keep);
}

void DynamicSparse::update(TrainState& state, const Growth& growth, const Drop& drop) {
  last_update_ = state.step();
  const std::vector<ParamId> resting = state.resting();
  for (const PrunedTensor& tensor : pruned_tensors(state)) {
    if (std::ranges::find(resting, tensor.id) != resting.end()) continue;  // what grew there would stay at zero
    const Bits before = mask_bits(state.params(), tensor, MaskKind::Keep);
    const std::int64_t active = count_ones(before);
    if (active == tensor.numel) continue;  // a dense layer would only get back what it dropped
    const Scores scores = growth(tensor);
    const Bits left = drop(tensor, before);
    const Bits after = grow(left, scores, active - count_ones(left), tensor.name);
    std::int64_t grown = 0;
    for (std::size_t i = 0; i < after.size(); ++i) grown += after[i] != 0 && before[i] == 0;
    state.params().replace_mask(tensor.id, MaskKind::Keep, after);
    state.log("drop_grow", tensor.layer, static_cast<double>(grown));
  }
}

}  // namespace winnow
