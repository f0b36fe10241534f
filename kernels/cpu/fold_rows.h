// Folds the columns of each row on the CPU in the order of kernels/functors/fold.h.
//   load(row, col) -> T,  fold(T, T) -> T,  store(row, T)
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/functors/fold.h"

namespace winnow {

// Columns begin .. end-1 of one row; `T` starts every lane, so it must be the fold's neutral element.
template <class T, class Load, class Fold>
T fold_span(std::int64_t row, std::int64_t begin, std::int64_t end, T zero, const Load& shared, const Fold& fold) {
  const Load load = shared;
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

// `partial` has fold_partials(rows, cols) elements.
template <class T, class Load, class Fold, class Store>
void fold_rows(int threads, std::int64_t rows, std::int64_t cols, T zero, const Load& load, const Fold& fold,
               const Store& store, T* partial) {
  const std::int64_t chunks = fold_chunks(cols), pieces = rows * chunks;
  const auto piece = [&](std::int64_t at) {
    const std::int64_t row = at / chunks, begin = at % chunks * kFoldChunk;
    const T value = fold_span(row, begin, std::min(cols, begin + kFoldChunk), zero, load, fold);
    if (chunks == 1) {
      store(row, value);
    } else {
      partial[at] = value;
    }
  };
  if (threads == 1 || pieces * std::min(cols, kFoldChunk) <= 4 * kFoldChunk) {
    for (std::int64_t at = 0; at < pieces; ++at) piece(at);
  } else {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (std::int64_t at = 0; at < pieces; ++at) piece(at);
  }
  if (chunks == 1) return;
  const LoadPartial<T> load_partial{partial, chunks};
  for (std::int64_t row = 0; row < rows; ++row) store(row, fold_span(row, 0, chunks, zero, load_partial, fold));
}

}  // namespace winnow
