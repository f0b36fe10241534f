// Folds the columns of each row on the device of `exec`, in the order of kernels/functors/fold.h, so
// neither device nor thread count changes a bit.
//   load(row, col) -> T,  fold(T, T) -> T,  store(row, T)
// CUDA: as in for_each.h, from the lists of kernels/cuda/*.cu.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/dry.h"
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

// Where neighbouring rows lie side by side in memory (a load says so: kRowsAreNeighbours) so many of them are folded together,
// a vector instruction over all; each in the order of fold_span.
template <class Load>
inline constexpr int kRowsTogether = 1;
template <class Load>
requires Load::kRowsAreNeighbours inline constexpr int kRowsTogether<Load> = 16;

template <class T, class Load, class Fold>
void fold_spans(std::int64_t row, int count, std::int64_t begin, std::int64_t end, T zero, const Load& shared,
                const Fold& fold, T* values) {
  constexpr int kTogether = kRowsTogether<Load>;
  if constexpr (kTogether == 1) {
    values[0] = fold_span(row, begin, end, zero, shared, fold);
  } else {
    const auto load = loaded(shared);
    T lane[kFoldLanes][kTogether];
    for (auto& each : lane) std::fill_n(each, kTogether, zero);
    for (std::int64_t col = begin; col < end; ++col) {
      T* at = lane[(col - begin) % kFoldLanes];
#pragma omp simd
      for (int r = 0; r < count; ++r) at[r] = fold(at[r], load(row + r, col));
    }
    for (int half = kFoldLanes / 2; half > 0; half /= 2) {
      for (int l = 0; l < half; ++l) {
        for (int r = 0; r < kTogether; ++r) lane[l][r] = fold(lane[l][r], lane[l + half][r]);
      }
    }
    std::copy_n(lane[0], count, values);
  }
}

}  // namespace cpu

// `partial` has fold_partials(rows, cols) elements, in memory of the device.
template <class T, class Load, class Fold, class Store>
void fold_rows(const Exec& exec, std::int64_t rows, std::int64_t cols, T zero, const Load& load, const Fold& fold,
               const Store& store, T* partial) {
  if (exec.device == Device::Cuda) return cuda::fold_rows(exec, rows, cols, zero, load, fold, store, partial);
  if (exec.device == Device::Dry) return dry::note_fold<T>(exec, rows, cols, load, store);
  constexpr int kTogether = cpu::kRowsTogether<Load>;
  const std::int64_t chunks = fold_chunks(cols), pieces = (rows + kTogether - 1) / kTogether * chunks;
  const auto piece = [&](std::int64_t at) {
    const std::int64_t row = at / chunks * kTogether, chunk = at % chunks, begin = chunk * kFoldChunk;
    const auto count = static_cast<int>(std::min<std::int64_t>(kTogether, rows - row));
    T values[kTogether];
    cpu::fold_spans(row, count, begin, std::min(cols, begin + kFoldChunk), zero, load, fold, values);
    for (int r = 0; r < count; ++r) {
      if (chunks == 1) {
        store(row + r, values[r]);
      } else {
        partial[(row + r) * chunks + chunk] = values[r];
      }
    }
  };
  const bool worth_threads = pieces * kTogether * std::min(cols, kFoldChunk) > 4 * kFoldChunk;
  share_loop(worth_threads ? exec.threads : 1, pieces, piece);
  if (chunks == 1) return;
  const LoadPartial<T> load_partial{partial, chunks};
  for (std::int64_t row = 0; row < rows; ++row) store(row, cpu::fold_span(row, 0, chunks, zero, load_partial, fold));
}

}  // namespace winnow
