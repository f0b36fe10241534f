#include "kernels/cuda/vendor/convolution_plans.h"

#include <cuda_runtime.h>

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "kernels/cuda/vendor/errors.h"
#include "kernels/cuda/vendor/handle_pool.h"
#include "kernels/cuda/vendor/settings.h"
#include "kernels/device.h"

namespace winnow::cuda::vendor {
namespace {

using Key = std::array<std::int64_t, 13>;

Key key_of(const ConvShape& s, Direction direction) {
  return {current_device(),
          s.batch,
          s.height,
          s.width,
          s.in,
          s.out,
          static_cast<std::int64_t>(s.dtype),
          static_cast<std::int64_t>(direction),
          s.kernel_h,
          s.kernel_w,
          s.stride,
          s.pad,
          s.groups};
}

std::shared_ptr<ConvolutionPlan> made(const ConvShape& shape, Direction direction) {
  try {
    return std::make_shared<ConvolutionPlan>(shape, direction, kConvolutionWorkspace);
  } catch (const NoPlan&) {
    // Where memory is short that may be all that is wrong, and another way would give other bits.
    std::size_t free = 0, all = 0;
    if (cudaMemGetInfo(&free, &all) == cudaSuccess && free < kConvolutionWorkspace) {
      throw DeviceMemoryError("cuDNN finds no plan for " + describe(shape, direction) + " while " +
                              std::to_string(free) + " bytes are free");
    }
    return nullptr;
  }
}

struct Plans {
  std::mutex mutex;
  std::map<Key, std::shared_ptr<ConvolutionPlan>> by_key;
};

// Sweeps that remove channels meet new shapes without end. Then all are forgotten; layers keep those they use.
constexpr std::size_t kMostPlans = 1024;

}  // namespace

std::shared_ptr<ConvolutionPlan> convolution_plan(const ConvShape& shape, Direction direction) {
  static auto* const plans = new Plans;  // never deleted, as the handles in handle_pool.h
  const Key key = key_of(shape, direction);
  {
    const std::lock_guard lock(plans->mutex);
    const auto found = plans->by_key.find(key);
    if (found != plans->by_key.end()) return found->second;
  }
  // Without the lock, since it takes long: two threads may make the same plan, and the first one stays.
  auto plan = made(shape, direction);
  const std::lock_guard lock(plans->mutex);
  if (plans->by_key.size() >= kMostPlans) plans->by_key.clear();
  return plans->by_key.emplace(key, std::move(plan)).first->second;
}

}  // namespace winnow::cuda::vendor
