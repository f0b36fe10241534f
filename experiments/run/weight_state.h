// Weights of a result as saved state: those of the start, which a trial that goes on cannot compute again. Plain functions.
#pragma once

#include <vector>

#include "core/state.h"
#include "experiments/trial.h"

namespace winnow {

// Without a form of the method's own, which there is only at the end of a trial.
void save_weights(StateWriter& out, const std::vector<WeightRecord>& weights);
std::vector<WeightRecord> restore_weights(StateReader& in);  // Error{Input} for what save_weights() did not write

}  // namespace winnow
