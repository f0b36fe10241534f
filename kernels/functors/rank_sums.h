// What ranks sum, between where a program has it and the buffer that travels: live entries of gradients, and the numbers of a
// step. Where they lie stands in tables in the memory of the device, so one launch serves many tensors. Single source
// for CPU and CUDA.
#pragma once

#include <cstdint>

#include "kernels/portable.h"
#include "kernels/run_state.h"

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

// A number of a step that is summed: a loss, or a count.
struct StepNumber {
  void* at;
  bool is_count;  // an int32, exact up to 2^24
};

// The numbers, and behind them whether this rank found something that is not finite.
struct GatherNumbers {
  const StepNumber* numbers;
  std::int64_t count;
  const RunState* run;
  float* buffer;
  WINNOW_HD void operator()(std::int64_t i) const {
    if (i == count) {
      buffer[i] = run->status.not_finite != 0 ? 1.0f : 0.0f;
    } else if (numbers[i].is_count) {
      buffer[i] = static_cast<float>(*static_cast<const std::int32_t*>(numbers[i].at));
    } else {
      buffer[i] = *static_cast<const float*>(numbers[i].at);
    }
  }
};

// Their sums in their place. What one rank found ends the trial on all.
struct ScatterNumbers {
  const StepNumber* numbers;
  std::int64_t count;
  RunState* run;
  const float* buffer;
  WINNOW_HD void operator()(std::int64_t i) const {
    if (not_finite(buffer[i]) || (i == count && buffer[i] > 0)) mark_not_finite(run);
    if (i == count) return;
    if (numbers[i].is_count) {
      *static_cast<std::int32_t*>(numbers[i].at) = static_cast<std::int32_t>(buffer[i]);
    } else {
      *static_cast<float*>(numbers[i].at) = buffer[i];
    }
  }
};

}  // namespace winnow
