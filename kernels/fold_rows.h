// Folds the columns of each row on the device of `exec`, in the order of kernels/functors/fold.h, so
// neither device nor thread count changes a bit.
//   load(row, col) -> T,  fold(T, T) -> T,  store(row, T)
// CUDA: as in for_each.h, from the lists of kernels/cuda/*.cu.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/exec.h"
#include "kernels/functors/fold.h"
#include "kernels/threads.h"

namespace winnow {

namespace cuda {
template <class T, class Load, class Fold, class Store>
[[gnu::weak]] void fold_rows(const Exec& exec, std::int64_t rows, std::int64_t cols, T zero, const Load& load,
                             const Fold& fold, const Store& store, T* partial);
}  // namespace cuda

namespace cpu {

// Columns begin .. end-1 of one row; `T` starts every lane, so it must be the fold's neutral element.
template <class T, class Load, class Fold>
T fold_span(std::int64_t row, std::int64_t begin, std::int64_t end, T zero, const Load& shared, const Fold& fold) {
  const auto load = loaded(shared);
  T lane[kFoldLanes];
  for (T& each : lane) each = zero;
  std::int64_t col = begin;
  for (; col + kFoldLanes <= end; col += kFoldLanes) {
#pragma omp simd
    for (int l = 0; l < kFoldLanes; ++l) lane[l] = fold(lane[l], load(row, col + l));
  }
  for (int l = 0; col < end; ++l, ++col) lane[l] = fold(lane[l], load(row, col));
  for (int half = kFoldLanes / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) lane[l] = fold(lane[l], lane[l + half]);
  }
  return lane[0];
}

}  // namespace cpu

// `partial` has fold_partials(rows, cols) elements, in memory of the device.
template <class T, class Load, class Fold, class Store>
void fold_rows(const Exec& exec, std::int64_t rows, std::int64_t cols, T zero, const Load& load, const Fold& fold,
               const Store& store, T* partial) {
  if (exec.device == Device::Cuda) return cuda::fold_rows(exec, rows, cols, zero, load, fold, store, partial);
  const std::int64_t chunks = fold_chunks(cols), pieces = rows * chunks;
  const auto piece = [&](std::int64_t at) {
    const std::int64_t row = at / chunks, begin = at % chunks * kFoldChunk;
    const T value = cpu::fold_span(row, begin, std::min(cols, begin + kFoldChunk), zero, load, fold);
    if (chunks == 1) {
      store(row, value);
    } else {
      partial[at] = value;
    }
  };
  const bool worth_threads = pieces * std::min(cols, kFoldChunk) > 4 * kFoldChunk;
  share_loop(worth_threads ? exec.threads : 1, pieces, piece);
  if (chunks == 1) return;
  const LoadPartial<T> load_partial{partial, chunks};
  for (std::int64_t row = 0; row < rows; ++row) store(row, cpu::fold_span(row, 0, chunks, zero, load_partial, fold));
}

}  // namespace winnow
