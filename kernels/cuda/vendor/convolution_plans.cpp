#include "kernels/cuda/vendor/convolution_plans.h"

#include <cuda_runtime.h>

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>

#include "kernels/cuda/vendor/errors.h"
#include "kernels/cuda/vendor/handle_pool.h"
#include "kernels/cuda/vendor/settings.h"
#include "kernels/device.h"

namespace winnow::cuda::vendor {
namespace {

using Key = std::array<std::int64_t, 14>;

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
          s.groups,
          std::int64_t{s.sums}};
}

// All that makes a plan what it is. The number: of the rules by which one is chosen in convolution_plan.cpp.
std::string line_of(const ConvShape& shape, Direction direction) {
  constexpr int kRules = 1;
  return ConvolutionPlan::maker() + ", rules " + std::to_string(kRules) + ", workspace " +
         std::to_string(kConvolutionWorkspace) + ": " + describe(shape, direction);
}

// A convolution that every cuDNN has an engine for.
ConvShape plain_shape(DType dtype) {
  return {.batch = 8,
          .height = 8,
          .width = 8,
          .in = 32,
          .out = 32,
          .kernel_h = 3,
          .kernel_w = 3,
          .stride = 1,
          .pad = 1,
          .groups = 1,
          .dtype = dtype,
          .bias = false};
}

// cuDNN says in the same way that it has no engine for a shape and that it cannot load any, as where one of its libraries or
// NVRTC is missing or of another version.
void expect_that_cudnn_works(DType dtype, const NoPlan& found) {
  try {
    const ConvolutionPlan plain(plain_shape(dtype), Direction::Forward, kConvolutionWorkspace);
  } catch (const NoPlan&) {
    throw std::runtime_error(std::string("cuDNN does not work here, it has no plan for any convolution: ") +
                             found.what());
  }
}

std::shared_ptr<ConvolutionPlan> newly_made(const ConvShape& shape, Direction direction) {
  try {
    return std::make_shared<ConvolutionPlan>(shape, direction, kConvolutionWorkspace);
  } catch (const NoPlan& found) {
    // Where memory is short that may be all that is wrong, and another way would give other bits.
    std::size_t free = 0, all = 0;
    if (cudaMemGetInfo(&free, &all) == cudaSuccess && free < kConvolutionWorkspace) {
      throw DeviceMemoryError("cuDNN finds no plan for " + describe(shape, direction) + " while " +
                              std::to_string(free) + " bytes are free");
    }
    expect_that_cudnn_works(shape.dtype, found);
    return nullptr;
  }
}

// Null: there is none, or none that the library takes.
std::shared_ptr<ConvolutionPlan> read_plan(const ConvShape& shape, Direction direction, const PlanFiles& files,
                                           const std::string& line) {
  const auto written = files.read(line);
  if (!written) return nullptr;
  try {
    return std::make_shared<ConvolutionPlan>(shape, direction, std::span(*written));
  } catch (const NoPlan&) {
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

std::shared_ptr<ConvolutionPlan> made_plan(const ConvShape& shape, Direction direction, const PlanFiles* files) {
  if (files == nullptr) return newly_made(shape, direction);
  const std::string line = line_of(shape, direction);
  if (auto plan = read_plan(shape, direction, *files, line)) return plan;
  auto plan = newly_made(shape, direction);
  if (plan == nullptr) return nullptr;
  if (const std::vector<std::uint8_t> written = plan->written(); !written.empty()) files->write(line, written);
  return plan;
}

std::shared_ptr<ConvolutionPlan> convolution_plan(const ConvShape& shape, Direction direction) {
  static auto* const plans = new Plans;  // never deleted, as the handles in handle_pool.h
  const Key key = key_of(shape, direction);
  {
    const std::lock_guard lock(plans->mutex);
    const auto found = plans->by_key.find(key);
    if (found != plans->by_key.end()) return found->second;
  }
  // Without the lock, since it takes long: two threads may make the same plan, and the first one stays.
  auto plan = made_plan(shape, direction, PlanFiles::of_environment());
  const std::lock_guard lock(plans->mutex);
  if (plans->by_key.size() >= kMostPlans) plans->by_key.clear();
  return plans->by_key.emplace(key, std::move(plan)).first->second;
}

}  // namespace winnow::cuda::vendor
