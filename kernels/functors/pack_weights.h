// Operands as cuDNN wants them: weights with their input channels side by side, channels in a number that its engines
// take. Single source for CPU and CUDA.
#pragma once

#include <cstdint>

#include "kernels/portable.h"

namespace winnow {

// Weights {out, in, taps} in the order of PyTorch (OIHW; taps: kernel_h * kernel_w, in: of a group) and their packed copy
// {packed_out, taps, packed_in} (KRSC), in which channels that the layer does not have are zero.
struct WeightExtents {
  std::int64_t out, in, taps, packed_out, packed_in;
  std::int64_t count() const { return out * in * taps; }
  std::int64_t packed_count() const { return packed_out * packed_in * taps; }
};

// By element of the packed copy.
template <class T>
struct PackWeights {
  WeightExtents extents;
  const float* weights;
  T* packed;
  WINNOW_HD void operator()(std::int64_t i) const {
    const std::int64_t c = i % extents.packed_in, rest = i / extents.packed_in;
    const std::int64_t tap = rest % extents.taps, o = rest / extents.taps;
    const bool real = o < extents.out && c < extents.in;
    packed[i] = real ? from_float<T>(weights[(o * extents.in + c) * extents.taps + tap]) : T{};
  }
};

// By element of the weights.
template <class T>
struct UnpackWeights {
  WeightExtents extents;
  const T* packed;
  float* weights;
  WINNOW_HD void operator()(std::int64_t i) const {
    const std::int64_t tap = i % extents.taps, rest = i / extents.taps;
    const std::int64_t c = rest % extents.in, o = rest / extents.in;
    weights[i] = to_float(packed[(o * extents.taps + tap) * extents.packed_in + c]);
  }
};

// By element of y: rows of `from` channels become rows of `to`, the first of them copied, zeros after the last.
template <class T>
struct FitChannels {
  const T* x;
  T* y;
  std::int64_t from, to;
  WINNOW_HD void operator()(std::int64_t i) const {
    const std::int64_t row = i / to, c = i % to;
    y[i] = c < from ? x[row * from + c] : T{};
  }
};

}  // namespace winnow
