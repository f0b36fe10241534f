// Putting chosen masks on the parameters of a run, with the events every masked method reports.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/method.h"
#include "experiments/methods/toolkit/density.h"

namespace winnow {

// The norm of each of the `rows` rows of a matrix, summed in double.
std::vector<double> row_norms(std::span<const float> matrix, std::int64_t rows);

// A ParamSpec::compared for coefficients of a basis: entry i times the norm of row i modulo rows of `basis`.
std::function<void(const ParamStore&, std::span<float>)> times_row_norms_of(ParamId basis);

// The tensor's weights as methods that go by magnitude compare them (ParamSpec::compared).
Scores compared_weights(const ParamStore& params, const PrunedTensor& tensor);

// |compared weight| of each entry. Of a weight that is derived (weight compander), as the layers
// use it: what is trained in its place has another scale in each layer.
std::vector<Scores> magnitudes(TrainState& state, const std::vector<PrunedTensor>& tensors);

// Uniform in (0, 1), of the trial's stream "<purpose>/<tensor>" at this step.
std::vector<Scores> random_scores(const TrainState& state, const std::vector<PrunedTensor>& tensors,
                                  const std::string& purpose);

// The mask as bits, ones where there is none.
Bits mask_bits(const ParamStore& params, const PrunedTensor& tensor, MaskKind kind);

// Replaces the masks and logs "kept" of each layer, and "dead_layer" or "full_layer" where nothing
// or everything stays although something was to be pruned.
void set_masks(TrainState& state, const std::vector<PrunedTensor>& tensors, const std::vector<Bits>& masks,
               MaskKind kind);

}  // namespace winnow
