// The order of every fold of a row, shared by CPU and CUDA: a row is cut into chunks of kFoldChunk
// elements; within a chunk lane l folds elements l, l + kFoldLanes, ... and the lanes are folded by
// halving. The order is a function of the shape alone, so neither the number of threads nor the
// device changes a result.
#pragma once

#include <cstdint>

#include "kernels/portable.h"

namespace winnow {

inline constexpr int kFoldLanes = 32;
inline constexpr std::int64_t kFoldChunk = 4096;

constexpr std::int64_t fold_chunks(std::int64_t cols) {
  return cols <= kFoldChunk ? 1 : (cols + kFoldChunk - 1) / kFoldChunk;
}
// Elements of scratch that a fold of `rows` rows needs for its partial results.
constexpr std::int64_t fold_partials(std::int64_t rows, std::int64_t cols) {
  return fold_chunks(cols) == 1 ? 0 : rows * fold_chunks(cols);
}

struct Sum {
  template <class T>
  WINNOW_HD T operator()(T a, T b) const {
    return a + b;
  }
};

// Loads for folds over one row-major matrix.
template <class T>
struct LoadRow {
  const T* x;
  std::int64_t cols;
  WINNOW_HD float operator()(std::int64_t row, std::int64_t col) const { return to_float(x[row * cols + col]); }
};
template <class T>
struct LoadColumn {  // of a matrix with `cols` columns, which are folded over its rows
  static constexpr bool kRowsAreNeighbours = true;
  const T* x;
  std::int64_t cols;
  WINNOW_HD float operator()(std::int64_t col, std::int64_t row) const { return to_float(x[row * cols + col]); }
};
template <class T>
struct LoadPartial {
  const T* partial;
  std::int64_t chunks;
  WINNOW_HD T operator()(std::int64_t row, std::int64_t chunk) const { return partial[row * chunks + chunk]; }
};
template <class T>
struct StoreRow {
  T* y;
  WINNOW_HD void operator()(std::int64_t row, T value) const { y[row] = value; }
};

}  // namespace winnow
