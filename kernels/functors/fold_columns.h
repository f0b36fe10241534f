// The order of sums over the rows of an array {rows, channels}, two for each channel, shared by CPU and CUDA. Channels go by
// vectors, vectors side by side are a tile. Rows are cut into chunks; in a chunk, lane l takes rows l, l + lanes, ... in float and
// lanes are folded by halving; chunks are folded likewise, in double. All of it is a function of the shape alone.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "kernels/portable.h"

namespace winnow {

template <class Number>
struct PairOf {
  Number first, second;
};

// A tile of a chunk is what a block of threads does, a vector of a lane what a thread does; so it is for chunks of a channel.
struct ColumnFold {
  static constexpr std::int64_t kThreads = 256, kVector = 4, kTile = 32;

  std::int64_t rows, channels;
  std::int64_t vector = channels % kVector == 0 ? kVector : 1;
  std::int64_t vectors = channels / vector;
  std::int64_t tile = std::min(vectors, kTile);  // in vectors
  std::int64_t tiles = (vectors + tile - 1) / tile;
  std::int64_t lanes = at_most(kThreads / tile);
  std::int64_t chunk_rows = lanes * rows_of_lane(rows, lanes, tiles);
  std::int64_t chunks = (rows + chunk_rows - 1) / chunk_rows;
  std::int64_t chunk_lanes = at_most(kThreads / (tile * vector));

  // Elements of scratch for the sums of chunks, {chunks, channels}.
  std::size_t partials() const { return static_cast<std::size_t>(chunks * channels); }
  WINNOW_HD std::int64_t last_row(std::int64_t chunk) const {
    return (chunk + 1) * chunk_rows < rows ? (chunk + 1) * chunk_rows : rows;
  }

 private:
  static std::int64_t at_most(std::int64_t lanes) {  // a power of two, for halving
    return static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(lanes)));
  }
  // So many that some 512 blocks are left, which fills a GPU, but not fewer than are worth a block.
  static std::int64_t rows_of_lane(std::int64_t rows, std::int64_t lanes, std::int64_t tiles) {
    constexpr std::int64_t kBlocks = 512, kLeast = 4;
    return std::max(kLeast, (rows * tiles + lanes * kBlocks - 1) / (lanes * kBlocks));
  }
};

}  // namespace winnow
