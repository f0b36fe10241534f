// Entries of random vectors that hash by the signs of products with them: normal, or -1, 0 and 1. Single source for CPU and
// CUDA.
#pragma once

#include <cstdint>

#include "kernels/portable.h"
#include "kernels/rng.h"

namespace winnow {

struct HashVector {
  RngKey key;
  bool gaussian;
  const double* zeros;  // the share of zeros, where not gaussian
  float* y;
  WINNOW_HD void operator()(std::int64_t i) const {
    const auto at = static_cast<std::uint64_t>(i);
    const float none = static_cast<float>(*zeros), u = uniform_at(key, at);
    y[i] = gaussian ? normal_at(key, at) : u < none ? 0.0f : u - none < (1 - none) / 2 ? 1.0f : -1.0f;
  }
};

}  // namespace winnow
