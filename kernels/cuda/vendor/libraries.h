// The one symbol that the module of NVIDIA's libraries exports (kernels/gpu_libraries.h). Thread-safe.
#pragma once

#include "kernels/gpu_libraries.h"

namespace winnow::cuda::vendor {
// Null in builds without NCCL.
[[gnu::weak]] DeviceGroups nccl();
}  // namespace winnow::cuda::vendor

// Weak: null in programs that are linked without kernels/cuda/vendor.
extern "C" [[gnu::weak]] const winnow::cuda::Libraries* winnow_cuda_libraries();
