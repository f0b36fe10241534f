#include "experiments/methods/toolkit/mask_tools.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <span>
#include <utility>

namespace winnow {

std::vector<double> row_norms(std::span<const float> matrix, std::int64_t rows) {
  std::vector<double> norms(static_cast<std::size_t>(rows));
  const std::size_t columns = matrix.size() / norms.size();
  for (std::size_t row = 0; row < norms.size(); ++row) {
    for (const float x : matrix.subspan(row * columns, columns)) {
      norms[row] += static_cast<double>(x) * static_cast<double>(x);
    }
    norms[row] = std::sqrt(norms[row]);
  }
  return norms;
}

std::function<void(const ParamStore&, std::span<float>)> times_row_norms_of(ParamId basis) {
  return [basis](const ParamStore& params, std::span<float> entries) {
    const std::int64_t rows = params.specs()[static_cast<std::size_t>(basis)].shape[0];
    const std::vector<double> norms = row_norms(params.weight(basis), rows);
    for (std::size_t i = 0; i < entries.size(); ++i) entries[i] *= static_cast<float>(norms[i % norms.size()]);
  };
}

Scores compared_weights(const ParamStore& params, const PrunedTensor& tensor) {
  const auto weight = params.weight(tensor.id);
  Scores values(weight.begin(), weight.end());
  const ParamSpec& spec = params.specs()[static_cast<std::size_t>(tensor.id)];
  if (spec.compared) spec.compared(params, values);
  return values;
}

std::vector<Scores> magnitudes(TrainState& state, const std::vector<PrunedTensor>& tensors) {
  const auto derived = [&](const PrunedTensor& tensor) {
    const ParamSpec& spec = state.params().specs()[static_cast<std::size_t>(tensor.id)];
    return spec.derived && spec.role == ParamRole::Weight;
  };
  std::map<std::string, std::vector<float>> effective;
  if (std::ranges::any_of(tensors, derived)) {
    for (auto& weight : state.effective_weights()) effective[weight.layer] = std::move(weight.values);
  }
  std::vector<Scores> scores;
  for (const PrunedTensor& tensor : tensors) {
    Scores& layer =
        scores.emplace_back(derived(tensor) ? effective.at(tensor.layer) : compared_weights(state.params(), tensor));
    for (float& score : layer) score = std::fabs(score);
  }
  return scores;
}

std::vector<Scores> random_scores(const TrainState& state, const std::vector<PrunedTensor>& tensors,
                                  const std::string& purpose) {
  std::vector<Scores> scores;
  for (const PrunedTensor& tensor : tensors) {
    const RngKey key = state.rng(purpose + "/" + tensor.name);
    Scores& layer = scores.emplace_back(static_cast<std::size_t>(tensor.numel));
    for (std::size_t i = 0; i < layer.size(); ++i) layer[i] = uniform_at(key, i);
  }
  return scores;
}

Bits mask_bits(const ParamStore& params, const PrunedTensor& tensor, MaskKind kind) {
  const auto bits = params.mask(tensor.id, kind);
  if (bits.empty()) return Bits(static_cast<std::size_t>(tensor.numel), 1);
  return {bits.begin(), bits.end()};
}

void set_masks(TrainState& state, const std::vector<PrunedTensor>& tensors, const std::vector<Bits>& masks,
               MaskKind kind) {
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    const PrunedTensor& tensor = tensors[t];
    const std::int64_t kept = count_ones(masks[t]);
    state.params().replace_mask(tensor.id, kind, masks[t]);
    state.log("kept", tensor.layer, static_cast<double>(kept));
    if (kept == 0) state.log("dead_layer", tensor.layer, 0);
    if (kept == tensor.numel) state.log("full_layer", tensor.layer, static_cast<double>(kept));
  }
}

}  // namespace winnow
