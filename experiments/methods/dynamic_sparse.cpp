#include "experiments/methods/dynamic_sparse.h"

#include "experiments/methods/drop_grow.h"

namespace winnow {

void DynamicSparse::save(StateWriter& out) const {
  out.put_value("dynamic_sparse.last_update", last_update_);
  out.put_value("dynamic_sparse.active", static_cast<std::uint8_t>(active_));
}

void DynamicSparse::load(StateReader& in) {
  last_update_ = in.get_value<std::int64_t>("dynamic_sparse.last_update");
  active_ = in.get_value<std::uint8_t>("dynamic_sparse.active") != 0;
}

void DynamicSparse::start(TrainState& state) {
  const std::vector<PrunedTensor> tensors = pruned_tensors(state);
  const DensityTarget target = density_target(settings_, tensors, Scope::Layer);
  active_ = !target.keeps_all(tensors);
  if (!active_) return;
  set_masks(state, tensors, select(target, tensors, random_scores(state, tensors, "mask")),
            MaskKind::Keep);
}

void DynamicSparse::exchange(TrainState& state, const PrunedTensor& tensor, const Scores& growth,
                             const std::function<std::int64_t(std::int64_t)>& count) {
  ParamStore& params = state.params();
  const Bits before = mask_bits(params, tensor, MaskKind::Keep);
  const std::int64_t kept = count_ones(before);
  if (kept == tensor.numel) return;  // a dense layer would only get back what it dropped
  const Bits after = drop_grow(params.weight(tensor.id), before, growth, count(kept), tensor.name);
  std::int64_t grown = 0;
  for (std::size_t i = 0; i < after.size(); ++i) grown += after[i] != 0 && before[i] == 0;
  params.replace_mask(tensor.id, MaskKind::Keep, after);
  state.log("drop_grow", tensor.layer, static_cast<double>(grown));
}

}  // namespace winnow
