// Where an element of NHWC images lies, for functors that compute one element at a time. Single source for CPU and CUDA.
#pragma once

#include <cstdint>

#include "kernels/portable.h"

namespace winnow {

// Element i of images {batch, height, width, channels}.
struct ImagePosition {
  std::int64_t n, row, col, channel;
  WINNOW_HD ImagePosition(std::int64_t i, std::int64_t height, std::int64_t width, std::int64_t channels)
      : n(i / channels / width / height),
        row(i / channels / width % height),
        col(i / channels % width),
        channel(i % channels) {}
};

}  // namespace winnow
