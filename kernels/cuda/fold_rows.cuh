// fold_rows (kernels/fold_rows.h) on a CUDA stream: folds the columns of each row in the order of kernels/functors/fold.h, so a fold
// gives the bits it gives on the CPU. One warp folds one chunk: its 32 threads are the lanes.
#pragma once

#include <cstring>
#include <type_traits>

#include "kernels/cuda/launch.cuh"
#include "kernels/functors/fold.h"

namespace winnow::cuda {

static_assert(kFoldLanes == 32, "a warp is one set of lanes");

// The value of the lane `half` further on; by words, since a fold may be over a struct.
template <class T>
__device__ T lane_below(const T& value, int half) {
  static_assert(sizeof(T) % sizeof(unsigned) == 0 && std::is_trivially_copyable_v<T>);
  constexpr int kWords = sizeof(T) / sizeof(unsigned);
  unsigned word[kWords];
  memcpy(word, &value, sizeof value);
  for (int i = 0; i < kWords; ++i) word[i] = __shfl_down_sync(0xffffffffu, word[i], half);
  T below;
  memcpy(&below, word, sizeof below);
  return below;
}

// Columns begin .. end-1 of a row, by one warp; the result is valid in lane 0.
template <class T, class Load, class Fold>
__device__ T fold_span(std::int64_t row, std::int64_t begin, std::int64_t end, T zero, const Load& load,
                       const Fold& fold) {
  T value = zero;
  for (std::int64_t col = begin + threadIdx.x % kFoldLanes; col < end; col += kFoldLanes) {
    value = fold(value, load(row, col));
  }
  for (int half = kFoldLanes / 2; half > 0; half /= 2) {
    value = fold(value, lane_below(value, half));
  }
  return value;
}

template <class T, class Load, class Fold, class Store>
__global__ void fold_kernel(std::int64_t rows, std::int64_t cols, std::int64_t span, T zero, Load shared, Fold fold,
                            Store store) {
  const auto load = loaded(shared);
  const std::int64_t spans = cols <= span ? 1 : (cols + span - 1) / span;
  const std::int64_t warps = static_cast<std::int64_t>(gridDim.x) * blockDim.x / kFoldLanes;
  for (std::int64_t at = (static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / kFoldLanes;
       at < rows * spans; at += warps) {
    const std::int64_t row = at / spans, begin = at % spans * span;
    const std::int64_t end = begin + span < cols ? begin + span : cols;
    const T value = fold_span(row, begin, end, zero, load, fold);
    if (threadIdx.x % kFoldLanes == 0) store(at, value);
  }
}

// `partial` is device memory of fold_partials(rows, cols) elements.
template <class T, class Load, class Fold, class Store>
void fold_rows(const Exec& exec, std::int64_t rows, std::int64_t cols, T zero, const Load& load, const Fold& fold,
               const Store& store, T* partial) {
  const std::int64_t chunks = fold_chunks(cols);
  const Grid grid = grid_for(rows * chunks * kFoldLanes);
  if (chunks == 1) {
    launch(exec, grid, fold_kernel<T, Load, Fold, Store>, rows, cols, kFoldChunk, zero, load, fold, store);
    return;
  }
  launch(exec, grid, fold_kernel<T, Load, Fold, StoreRow<T>>, rows, cols, kFoldChunk, zero, load, fold,
         StoreRow<T>{partial});
  // A chunk of its own for each row's partial results, however many they are.
  launch(exec, grid_for(rows * kFoldLanes), fold_kernel<T, LoadPartial<T>, Fold, Store>, rows, chunks, chunks, zero,
         LoadPartial<T>{partial, chunks}, fold, store);
}

}  // namespace winnow::cuda

// Lists of folds, as in for_each.cuh.
#define WINNOW_FOLD_ROWS(T, Load, Fold, Store) \
  template void fold_rows(const Exec&, std::int64_t, std::int64_t, T, const Load&, const Fold&, const Store&, T*)
