// Two sums over the rows of each channel of an array {rows, channels} on the device of `exec`, in the order of
// kernels/functors/fold_columns.h, so neither device nor thread count changes a bit.
//   sums.columns<width>(channel) -> an object for the channels from this one on, of which add(row, first, second) adds to their sums
//   store(channel, PairOf<double>)
// CUDA: as in for_each.h, from the lists of kernels/cuda/*.cu, in one launch.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/dry.h"
#include "kernels/exec.h"
#include "kernels/functors/fold_columns.h"
#include "kernels/threads.h"

namespace winnow {

namespace cuda {
template <int width, class Sums, class Store>
[[gnu::weak]] void fold_columns(const Exec& exec, const ColumnFold& fold, const Sums& sums, const Store& store,
                                PairOf<float>* partial);
}  // namespace cuda

namespace cpu {

// The vector `v` of a chunk.
template <int width, class Sums>
void fold_chunk(const ColumnFold& fold, std::int64_t chunk, std::int64_t v, const Sums& sums, PairOf<float>* partial) {
  const auto columns = sums.template columns<width>(v * width);
  const auto lanes = static_cast<int>(fold.lanes);
  float first[ColumnFold::kThreads][width] = {}, second[ColumnFold::kThreads][width] = {};
  for (int l = 0; l < lanes; ++l) {
    for (std::int64_t row = chunk * fold.chunk_rows + l; row < fold.last_row(chunk); row += lanes) {
      columns.add(row, first[l], second[l]);
    }
  }
  for (int half = lanes / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) {
      for (int k = 0; k < width; ++k) {
        first[l][k] += first[l + half][k];
        second[l][k] += second[l + half][k];
      }
    }
  }
  for (int k = 0; k < width; ++k) partial[chunk * fold.channels + v * width + k] = {first[0][k], second[0][k]};
}

inline PairOf<double> fold_chunks_of(const ColumnFold& fold, std::int64_t channel, const PairOf<float>* partial) {
  const auto lanes = static_cast<int>(fold.chunk_lanes);
  PairOf<double> lane[ColumnFold::kThreads] = {};
  for (std::int64_t chunk = 0; chunk < fold.chunks; ++chunk) {
    PairOf<double>& at = lane[chunk % lanes];
    at.first += static_cast<double>(partial[chunk * fold.channels + channel].first);
    at.second += static_cast<double>(partial[chunk * fold.channels + channel].second);
  }
  for (int half = lanes / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) {
      lane[l].first += lane[l + half].first;
      lane[l].second += lane[l + half].second;
    }
  }
  return lane[0];
}

template <int width, class Sums, class Store>
void fold_columns(const Exec& exec, const ColumnFold& fold, const Sums& sums, const Store& store,
                  PairOf<float>* partial) {
  share_loop(exec.threads, fold.chunks * fold.vectors,
             [&](std::int64_t at) { fold_chunk<width>(fold, at / fold.vectors, at % fold.vectors, sums, partial); });
  for (std::int64_t c = 0; c < fold.channels; ++c) store(c, fold_chunks_of(fold, c, partial));
}

}  // namespace cpu

// `partial` has fold.partials() elements, in memory of the device.
template <class Sums, class Store>
void fold_columns(const Exec& exec, const ColumnFold& fold, const Sums& sums, const Store& store,
                  PairOf<float>* partial) {
  const auto with_width = [&]<int width>() {
    if (exec.device == Device::Cuda) return cuda::fold_columns<width>(exec, fold, sums, store, partial);
    if (exec.device == Device::Cpu) return cpu::fold_columns<width>(exec, fold, sums, store, partial);
    const std::size_t bytes = sizeof *partial * fold.partials();
    dry::note_kernel(exec, {dry::argument(sums), dry::stored_by(store, fold.channels)}, bytes, bytes);
  };
  if (fold.vector == 1) return with_width.template operator()<1>();
  static_assert(ColumnFold::kVector == 4);
  with_width.template operator()<4>();
}

}  // namespace winnow
