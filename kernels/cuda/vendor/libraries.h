// The symbols that the module of NVIDIA's libraries exports (kernels/gpu_libraries.h). Thread-safe.
#pragma once

#include "kernels/gpu_libraries.h"

namespace winnow::cuda::vendor {
// Null in builds without NCCL.
[[gnu::weak]] DeviceGroups nccl();
}  // namespace winnow::cuda::vendor

// Weak: null in programs that are linked without kernels/cuda/vendor.
extern "C" [[gnu::weak]] const winnow::cuda::Libraries* winnow_cuda_libraries();
// Of which sources it was built, as WINNOW_KERNEL_SOURCES: a program of others has other arguments of kernels, or another table.
extern "C" const char winnow_cuda_sources[];
