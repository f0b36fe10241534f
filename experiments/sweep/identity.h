// A trial's identity and the seeds that follow from it. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "experiments/trial.h"

namespace winnow {

std::string trial_id(std::string_view canonical);  // 20 hex digits

// With `pair: data_order` the streams data_order and augment follow from (data set, replicate)
// alone, so that all methods see the same batches; with `pair: all` init and dropout follow from
// (data set, model, replicate) too, so that they start from the same weights.
TrialSeeds seeds_of(const TrialSpec& spec);

}  // namespace winnow
