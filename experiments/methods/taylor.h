// What Taylor pruning scores channels by. Pure.
#pragma once

#include <optional>
#include <span>

namespace winnow {

// Of a group of channels on one batch: the square of what the loss loses to first order when its gates close, z dL/dz in
// sum over them (z is 1). A channel that several layers make, as those of a residual sum, has as many gates as layers,
// and is divided by their number.
double taylor_importance(std::span<const double> gate_gradients);

// After a round of batches, of which `mean` is the mean importance; `before`: after the round before.
double kept_importance(std::optional<double> before, double mean, double momentum);

}  // namespace winnow
