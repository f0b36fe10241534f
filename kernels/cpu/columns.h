// Walks an array {rows, channels} in blocks of registers wide and chunks of rows high, for kernels
// with one set of parameters or sums a channel. Rows are joined until one fills registers exactly
// ({1024, 20} becomes {256, 80}), so few channels cost no partial registers. All is fixed by the
// shape; chunks may run on any thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "kernels/cpu/vec.h"
#include "kernels/threads.h"

namespace winnow::cpu {

// Rows [first_row, last_row) of up to four registers of adjoining columns.
struct ColumnBlock {
  std::int64_t chunk, first_row, last_row, column, width, lanes;

  // Register r of row `row` of an array of this width; `partial`: only the first `lanes` of it exist.
  template <bool partial, class T>
  Vec load(const T* array, std::int64_t row, int r) const {
    const T* from = array + row * width + column + r * kLanes;
    if constexpr (partial) return cpu::load(from, lanes);
    return cpu::load(from);
  }
  template <bool partial, class T>
  void store(T* array, std::int64_t row, int r, Vec value) const {
    T* to = array + row * width + column + r * kLanes;
    if constexpr (partial) {
      cpu::store(to, value, lanes);
    } else {
      cpu::store(to, value);
    }
  }
};

class Columns {
 public:
  Columns(std::int64_t rows, std::int64_t channels) : rows_(rows), channels_(channels), width_(channels) {
    std::int64_t joined = kLanes / std::gcd(channels, kLanes);
    while (joined * channels < 4 * kLanes) joined *= 2;
    while (joined > 1 && rows % joined != 0) joined /= 2;
    width_ = channels * joined;
    rows_ = rows / joined;
    chunk_rows_ = std::max<std::int64_t>(kChunkElements / width_, kLeastRows);
    chunks_ = (rows_ + chunk_rows_ - 1) / chunk_rows_;
  }
  std::int64_t channels() const { return channels_; }
  std::int64_t width() const { return width_; }  // of the joined rows
  std::int64_t padded_width() const { return (width_ + kLanes - 1) / kLanes * kLanes; }
  std::int64_t chunks() const { return chunks_; }

  // Calls body.operator()<registers, partial>(block) for every block.
  template <class Body>
  void each(int threads, const Body& body) const {
    share_loop(threads, chunks_, [&](std::int64_t chunk) {
      ColumnBlock block{chunk, chunk * chunk_rows_, std::min(rows_, (chunk + 1) * chunk_rows_), 0, width_, kLanes};
      for (; block.column + 4 * kLanes <= width_; block.column += 4 * kLanes) {
        body.template operator()<4, false>(block);
      }
      for (; block.column + kLanes <= width_; block.column += kLanes) body.template operator()<1, false>(block);
      block.lanes = width_ - block.column;
      if (block.lanes > 0) body.template operator()<1, true>(block);
    });
  }

 private:
  // A chunk is about a level-1 cache of f32, yet at least so many rows that the fold of its sums does not count.
  static constexpr std::int64_t kChunkElements = 8192, kLeastRows = 64;
  std::int64_t rows_, channels_, width_, chunk_rows_, chunks_;
};

}  // namespace winnow::cpu
