// fold_columns (kernels/fold_columns.h) on a CUDA stream: one launch, in which the last block of a tile folds the chunks. Who
// is last is a matter of chance, what it computes is not.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cuda/launch.cuh"
#include "kernels/functors/fold_columns.h"

namespace winnow::cuda {

// Folds value[k * kThreads + thread] over lanes by halving: thread = lane * width + place. For all threads of a block; each of
// lane 0 sees its sums then, and they are for no other.
template <class Number>
__device__ void fold_lanes(Number* value, int numbers, int lanes, int width) {
  constexpr int kThreads = ColumnFold::kThreads;
  const auto thread = static_cast<int>(threadIdx.x);
  for (int half = lanes / 2; half > 0; half /= 2) {
    __syncthreads();
    if (thread >= half * width) continue;
    for (int k = 0; k < numbers; ++k) value[k * kThreads + thread] += value[k * kThreads + thread + half * width];
  }
}

// One tile of one chunk, by a block.
template <int width, class Sums>
__device__ void fold_chunk(const ColumnFold& fold, std::int64_t chunk, std::int64_t tile, const Sums& sums,
                           float* value, PairOf<float>* partial) {
  constexpr int kThreads = ColumnFold::kThreads;
  const auto thread = static_cast<int>(threadIdx.x), in_tile = static_cast<int>(fold.tile);
  const int lane = thread / in_tile;
  const std::int64_t v = tile * fold.tile + thread % in_tile;
  float first[width] = {}, second[width] = {};
  if (lane < fold.lanes && v < fold.vectors) {
    const auto columns = sums.template columns<width>(v * width);
    const std::int64_t last = fold.last_row(chunk);
    for (std::int64_t row = chunk * fold.chunk_rows + lane; row < last; row += fold.lanes) {
      columns.add(row, first, second);
    }
  }
  for (int k = 0; k < width; ++k) {
    value[2 * k * kThreads + thread] = first[k];
    value[(2 * k + 1) * kThreads + thread] = second[k];
  }
  fold_lanes(value, 2 * width, static_cast<int>(fold.lanes), in_tile);
  if (lane == 0 && v < fold.vectors) {
    for (int k = 0; k < width; ++k) {
      partial[chunk * fold.channels + v * width + k] = {value[2 * k * kThreads + thread],
                                                        value[(2 * k + 1) * kThreads + thread]};
    }
  }
  __syncthreads();  // before the next tile takes the place
}

// The chunks of the channels of a tile, by a block.
template <class Store>
__device__ void fold_tile(const ColumnFold& fold, std::int64_t tile, const PairOf<float>* partial, double* value,
                          const Store& store) {
  constexpr int kThreads = ColumnFold::kThreads;
  const auto thread = static_cast<int>(threadIdx.x), in_tile = static_cast<int>(fold.tile * fold.vector);
  const int lane = thread / in_tile;
  const std::int64_t channel = tile * in_tile + thread % in_tile;
  double first = 0, second = 0;
  if (lane < fold.chunk_lanes && channel < fold.channels) {
    for (std::int64_t chunk = lane; chunk < fold.chunks; chunk += fold.chunk_lanes) {
      const PairOf<float> at = partial[chunk * fold.channels + channel];
      first += static_cast<double>(at.first);
      second += static_cast<double>(at.second);
    }
  }
  value[thread] = first;
  value[kThreads + thread] = second;
  fold_lanes(value, 2, static_cast<int>(fold.chunk_lanes), in_tile);
  if (lane == 0 && channel < fold.channels) store(channel, PairOf<double>{value[thread], value[kThreads + thread]});
  __syncthreads();
}

// Blocks of one slot count themselves in `done`, which is zero before and after. A slot has more than one tile where there are
// more tiles than slots.
template <int width, class Sums, class Store>
__global__ void fold_columns_kernel(ColumnFold fold, unsigned slots, Sums sums, Store store, PairOf<float>* partial,
                                    std::uint32_t* done) {
  WINNOW_SHARED(double, shared, (width > 2 ? width : 2) * ColumnFold::kThreads);
  WINNOW_SHARED(unsigned, before, 1);
  const unsigned slot = blockIdx.x % slots;
  for (std::int64_t tile = slot; tile < fold.tiles; tile += slots) {
    fold_chunk<width>(fold, blockIdx.x / slots, tile, sums, reinterpret_cast<float*>(&shared[0]), partial);
  }
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) before[0] = atomicAdd(&done[slot], 1u);
  __syncthreads();
  if (before[0] + 1 != gridDim.x / slots) return;
  __threadfence();
  for (std::int64_t tile = slot; tile < fold.tiles; tile += slots) fold_tile(fold, tile, partial, shared, store);
  if (threadIdx.x == 0) done[slot] = 0;
}

template <int width, class Sums, class Store>
void fold_columns(const Exec& exec, const ColumnFold& fold, const Sums& sums, const Store& store,
                  PairOf<float>* partial) {
  const auto slots = static_cast<unsigned>(std::min<std::int64_t>(fold.tiles, RunState::kSlots));
  const Grid grid{slots * static_cast<unsigned>(fold.chunks), ColumnFold::kThreads};
  launch(exec, grid, fold_columns_kernel<width, Sums, Store>, fold, slots, sums, store, partial,
         &exec.run->blocks_done[0]);
}

}  // namespace winnow::cuda

// Lists of folds, as in for_each.cuh.
#define WINNOW_FOLD_COLUMNS_OF(width, Sums, Store) \
  template void fold_columns<width>(const Exec&, const ColumnFold&, const Sums&, const Store&, PairOf<float>*)
#define WINNOW_FOLD_COLUMNS(Sums, Store)  \
  WINNOW_FOLD_COLUMNS_OF(1, Sums, Store); \
  WINNOW_FOLD_COLUMNS_OF(4, Sums, Store)
