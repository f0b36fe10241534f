// Scalars that lie apart, side by side as f32. Single source for CPU and CUDA.
#pragma once

#include <cstdint>

#include "kernels/portable.h"

namespace winnow {

// One of them; counts and flags are whole numbers below 2^24.
struct ScalarPlace {
  enum class Type : std::uint32_t { F32, I32 };
  const void* at;
  Type type;
};

struct GatherScalars {
  const ScalarPlace* from;
  float* to;
  WINNOW_HD void operator()(std::int64_t i) const {
    const ScalarPlace& place = from[i];
    to[i] = place.type == ScalarPlace::Type::F32 ? *static_cast<const float*>(place.at)
                                                 : static_cast<float>(*static_cast<const std::int32_t*>(place.at));
  }
};

}  // namespace winnow
