// The plans of this process by device, shape and direction: making one takes cuDNN milliseconds to seconds, and the same
// layers come back in every program and trial. Layers share plans. Thread-safe.
#pragma once

#include <memory>

#include "kernels/cuda/vendor/convolution_plan.h"
#include "kernels/cuda/vendor/plan_files.h"

namespace winnow::cuda::vendor {

// For the current device; the shape's bias does not count. Null where cuDNN has none, which is remembered as well.
std::shared_ptr<ConvolutionPlan> convolution_plan(const ConvShape& shape, Direction direction);

// The same, not remembered: from `files`, or made and written there. Null: nowhere.
std::shared_ptr<ConvolutionPlan> made_plan(const ConvShape& shape, Direction direction, const PlanFiles* files);

}  // namespace winnow::cuda::vendor
