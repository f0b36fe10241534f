// Sums over the rows of an array {rows, channels} and of their squares, by channel, in the order of fold_columns.h. T is float
// or bf16. Single source for CPU and CUDA.
#pragma once

#include <cstdint>

#include "kernels/functors/fold_columns.h"
#include "kernels/functors/vector.h"
#include "kernels/portable.h"

namespace winnow {

template <class T>
struct ChannelSums {
  const T* x;
  std::int64_t channels;

  template <int width>
  struct Columns {
    const T* x;
    std::int64_t channels;
    WINNOW_HD void add(std::int64_t row, float* sum, float* squares) const {
      const auto at = load_vector<width>(x + row * channels);
      for (int k = 0; k < width; ++k) {
        const float value = to_float(at.element[k]);
        sum[k] += value;
        squares[k] += value * value;
      }
    }
  };
  template <int width>
  WINNOW_HD Columns<width> columns(std::int64_t c) const {
    return {x + c, channels};
  }
};

// Into {2, channels}.
struct StoreChannelSums {
  float* sums;
  std::int64_t channels;
  WINNOW_HD void operator()(std::int64_t c, PairOf<double> of) const {
    sums[c] = static_cast<float>(of.first);
    sums[channels + c] = static_cast<float>(of.second);
  }
};

}  // namespace winnow
