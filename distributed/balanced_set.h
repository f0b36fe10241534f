// As many training examples of every class, for probes that must not depend on how classes are mixed. A plain value;
// every rank makes the same.
#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor.h"
#include "distributed/train_job.h"

namespace winnow {

struct BalancedSet {
  Tensor images;                     // {examples, H, W, C} f32, ordered by class
  std::vector<std::int32_t> labels;  // of them
};

// The examples number set * per_class to (set + 1) * per_class - 1 of each class, as they come in the first epoch.
// Error{Input} for a class that has fewer.
BalancedSet balanced_set(const TrainJob& job, std::int64_t per_class, std::int64_t set);

}  // namespace winnow
