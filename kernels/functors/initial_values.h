// Initial values of a parameter: element i of a tensor is a function of the key and i alone. Products are formed in double from
// a float draw: one rounding, the same in every language with IEEE 754. Single source for CPU and CUDA.
#pragma once

#include <cstdint>

#include "kernels/portable.h"
#include "kernels/rng.h"

namespace winnow {

enum class Draw : std::uint8_t { Constant, Normal, Uniform, Sign };

template <Draw draw>
struct InitialValues {
  RngKey key;
  double scale;  // the constant, standard deviation, bound or magnitude
  float* y;
  WINNOW_HD void operator()(std::int64_t i) const {
    const auto at = static_cast<std::uint64_t>(i);
    if constexpr (draw == Draw::Constant) {
      y[i] = static_cast<float>(scale);
    } else if constexpr (draw == Draw::Normal) {
      y[i] = static_cast<float>(scale * static_cast<double>(normal_at(key, at)));
    } else if constexpr (draw == Draw::Uniform) {
      y[i] = static_cast<float>(scale * static_cast<double>(2.0f * uniform_at(key, at) - 1.0f));
    } else {
      const auto magnitude = static_cast<float>(scale);
      y[i] = (philox(key, at / 4).word[at % 4] >> 31) != 0 ? -magnitude : magnitude;
    }
  }
};

}  // namespace winnow
