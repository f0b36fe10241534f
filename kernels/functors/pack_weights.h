// Operands as cuDNN wants them: weights with their input channels side by side, channels in a number that its engines
// take. Single source for CPU and CUDA.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kernels/functors/chunk.h"
#include "kernels/portable.h"

namespace winnow {

// Weights {out, in, taps} in the order of PyTorch (OIHW; taps: kernel_h * kernel_w, in: of a group) and their packed copy
// {packed_out, taps, packed_in} (KRSC), in which channels that the layer does not have are zero.
struct WeightExtents {
  std::int64_t out, in, taps, packed_out, packed_in;
  std::int64_t count() const { return out * in * taps; }
  std::int64_t packed_count() const { return packed_out * packed_in * taps; }
};

// Where an element lies in blocks of rows. As RowAndColumn.
struct BlockRowColumn {
  RowAndColumn row;  // of a block
  std::int64_t col = 0;
  WINNOW_HD BlockRowColumn plus(std::int64_t i, std::int64_t rows, std::int64_t cols) const {
    const RowAndColumn at = RowAndColumn{0, col}.plus(i, cols);
    return {row.plus(at.row, rows), at.col};
  }
};

// By element of the packed copy.
template <class T>
struct PackWeights {
  WeightExtents extents;
  const float* weights;
  T* packed;
  BlockRowColumn begin = {};
  WINNOW_HD auto operands(const auto& run) { return run(packed); }
  WINNOW_HD void start_at(std::int64_t i) { begin = begin.plus(i, extents.taps, extents.packed_in); }
  WINNOW_HD void operator()(std::int64_t i) const {
    const BlockRowColumn at = begin.plus(i, extents.taps, extents.packed_in);
    const std::int64_t o = at.row.row, tap = at.row.col, c = at.col;
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
  BlockRowColumn begin = {};
  WINNOW_HD auto operands(const auto& run) { return run(weights); }
  WINNOW_HD void start_at(std::int64_t i) { begin = begin.plus(i, extents.in, extents.taps); }
  WINNOW_HD void operator()(std::int64_t i) const {
    const BlockRowColumn at = begin.plus(i, extents.in, extents.taps);
    const std::int64_t o = at.row.row, c = at.row.col, tap = at.col;
    weights[i] = to_float(packed[(o * extents.taps + tap) * extents.packed_in + c]);
  }
};

// By element of y: rows of `from` channels become rows of `to`, the first of them copied or cast, zeros after the last.
template <class From, class To = From>
struct FitChannels {
  const From* x;
  To* y;
  std::int64_t from, to;
  RowAndColumn begin = {};
  WINNOW_HD auto operands(const auto& run) { return run(y); }
  WINNOW_HD void start_at(std::int64_t i) { begin = begin.plus(i, to); }
  WINNOW_HD void operator()(std::int64_t i) const {
    const auto [row, c] = begin.plus(i, to);
    if (c >= from) {
      y[i] = To{};
    } else if constexpr (std::is_same_v<From, To>) {
      y[i] = x[row * from + c];
    } else {
      y[i] = from_float<To>(to_float(x[row * from + c]));
    }
  }
};

}  // namespace winnow
