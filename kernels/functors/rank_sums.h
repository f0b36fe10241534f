// Live entries of gradients, between where a program has them and the buffer that travels between ranks. Where they lie stands in
// a table in the memory of the device, so one launch serves many tensors. Single source for CPU and CUDA.
#pragma once

#include <cstdint>

#include "kernels/portable.h"

namespace winnow {

// Entries of one gradient in a buffer, from entry `begin` of that on.
struct LiveSegment {
  float* gradient;
  const std::uint32_t* live;  // which entries, in order; null: the first ones, one after the other
  std::int64_t begin;
};

// All segments of a buffer, by `begin`, none of them empty; the first begins at 0.
struct LiveSegments {
  const LiveSegment* segments;
  std::int64_t count;
  WINNOW_HD float* at(std::int64_t i) const {
    std::int64_t low = 0;
    for (std::int64_t high = count; high - low > 1;) {
      const std::int64_t middle = (low + high) / 2;
      (segments[middle].begin <= i ? low : high) = middle;
    }
    const LiveSegment& segment = segments[low];
    const std::int64_t entry = i - segment.begin;
    return segment.gradient + (segment.live != nullptr ? segment.live[entry] : entry);
  }
};

struct GatherLive {
  LiveSegments from;
  float* buffer;
  WINNOW_HD void operator()(std::int64_t i) const { buffer[i] = *from.at(i); }
};

struct ScatterLive {
  LiveSegments to;
  const float* buffer;
  WINNOW_HD void operator()(std::int64_t i) const { *to.at(i) = buffer[i]; }
};

}  // namespace winnow
