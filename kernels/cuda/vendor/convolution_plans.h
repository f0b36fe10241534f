// The plans of this process by device, shape and direction: making one takes cuDNN milliseconds to seconds, and the same
// layers come back in every program and trial. Layers share plans. Thread-safe.
#pragma once

#include <memory>

#include "kernels/cuda/vendor/convolution_plan.h"

namespace winnow::cuda::vendor {

// For the current device; the shape's bias does not count. Null where cuDNN has none, which is remembered as well.
std::shared_ptr<ConvolutionPlan> convolution_plan(const ConvShape& shape, Direction direction);

}  // namespace winnow::cuda::vendor
