#include "kernels/cpu/pack.h"

#include <algorithm>
#include <utility>

#include "kernels/cpu/columns.h"
#include "kernels/cpu/vec.h"
#include "kernels/threads.h"

namespace winnow::cpu {
namespace {

constexpr int kSide = kLanes;

// Quarters of 2 d x 2 d change places across the diagonal, in the rows r and r + d.
template <int d, int... lane>
void swap_blocks(Vec& upper, Vec& lower, std::integer_sequence<int, lane...>) {
  const Vec a = upper, b = lower;
  upper = __builtin_shufflevector(a, b, ((lane & d) != 0 ? kLanes + lane - d : lane)...);
  lower = __builtin_shufflevector(a, b, ((lane & d) != 0 ? kLanes + lane : lane + d)...);
}

// Rows and columns of a square of 16 x 16 change places, by halves, quarters and so on.
template <int d = kSide / 2>
void transpose_square(Vec (&rows)[kSide]) {
#pragma GCC unroll 16
  for (int r = 0; r < kSide; ++r) {
    if ((r & d) == 0) {
      swap_blocks<d>(rows[r], rows[r + d], std::make_integer_sequence<int, kSide>());
    }
  }
  if constexpr (d > 1) transpose_square<d / 2>(rows);
}

VecBits pair(HalfBits low, HalfBits high) {
  return reinterpret_cast<VecBits>(widen(low)) >> 16 | reinterpret_cast<VecBits>(widen(high));
}

// A square of B, whole or only its first `here` rows and `lanes` columns, as words into a panel
// whose rows are `width` floats apart. Whole squares stay in registers, since every loop is unrolled.
template <bool whole, bool halves, Order order>
void pack_square(const float* from, std::int64_t stride, std::int64_t here, std::int64_t lanes, float* to,
                 std::int64_t width) {
  Vec rows[kSide];
#pragma GCC unroll 16
  for (int i = 0; i < kSide; ++i) {
    const float* row = from + i * stride;
    if constexpr (whole) {
      rows[i] = load(row);
    } else {
      const bool by_rows = order == Order::Rows;
      rows[i] = i < (by_rows ? here : lanes) ? load(row, by_rows ? lanes : here) : Vec{};
    }
  }
  if constexpr (order == Order::Columns) transpose_square(rows);
#pragma GCC unroll 16
  for (int i = 0; i < kSide; i += halves ? 2 : 1) {
    if (!whole && i >= here) return;
    if constexpr (halves) {
      store(to + i / 2 * width, reinterpret_cast<Vec>(pair(narrow(rows[i]), narrow(rows[i + 1]))));
    } else {
      store(to + i * width, rows[i]);
    }
  }
}

template <bool halves, Order order>
void pack_panel_as(std::int64_t k, std::int64_t n, const float* from, std::int64_t stride, float* to) {
  const std::int64_t width = (n + kSide - 1) / kSide * kSide;
  const auto at = [&](std::int64_t row, std::int64_t column) {
    return from + (order == Order::Rows ? row * stride + column : column * stride + row);
  };
  for (std::int64_t row = 0; row < k; row += kSide) {
    float* words = to + row / (halves ? 2 : 1) * width;
    const std::int64_t here = std::min<std::int64_t>(k - row, kSide);
    for (std::int64_t column = 0; column < n; column += kSide) {
      const std::int64_t lanes = std::min<std::int64_t>(n - column, kSide);
      if (here == kSide && lanes == kSide) {
        pack_square<true, halves, order>(at(row, column), stride, here, lanes, words + column, width);
      } else {
        pack_square<false, halves, order>(at(row, column), stride, here, lanes, words + column, width);
      }
    }
  }
}

}  // namespace

void pack_panel(DType type, std::int64_t k, std::int64_t n, const float* from, Order order, std::int64_t stride,
                std::byte* to) {
  auto* words = reinterpret_cast<float*>(to);
  const bool halves = in_pairs(type), by_rows = order == Order::Rows;
  const auto pack = halves ? (by_rows ? pack_panel_as<true, Order::Rows> : pack_panel_as<true, Order::Columns>)
                           : (by_rows ? pack_panel_as<false, Order::Rows> : pack_panel_as<false, Order::Columns>);
  pack(k, n, from, stride, words);
}

void pack_panels(DType type, std::int64_t k, std::int64_t n, const Panels& panels, const float* from, Order order,
                 std::byte* to, int threads) {
  const bool by_rows = order == Order::Rows;
  share_loop(threads, panels.count(), [&](std::int64_t panel) {
    const std::int64_t column = panels.first(panel) * Panels::kColumns;
    pack_panel(type, k, std::min(panels.width(panel) * Panels::kColumns, n - column), from + column * (by_rows ? 1 : k),
               order, by_rows ? n : k, to + column * kWordBytes * words_of(type, k));
  });
}

void pair_rows(std::int64_t rows, std::int64_t width, const bf16* low, const bf16* high, std::uint32_t* to) {
  for (std::int64_t i = 0; i < rows; ++i, low += 2 * width, to += width) {
    if (high == nullptr) {
      for (std::int64_t j = 0; j < width; ++j) to[j] = low[j].bits;
      continue;
    }
#pragma omp simd
    for (std::int64_t j = 0; j < width; ++j) {
      to[j] = low[j].bits | static_cast<std::uint32_t>(high[j].bits) << 16;
    }
    high += 2 * width;
  }
}

std::size_t column_sums_bytes(std::int64_t rows, std::int64_t columns) {
  const Columns walk(rows, columns);
  return static_cast<std::size_t>(walk.chunks() * walk.padded_width()) * sizeof(float);
}

namespace {

template <class T>
void column_sums_as(std::int64_t rows, std::int64_t columns, const T* x, float* sums, std::byte* partial, int threads) {
  const Columns walk(rows, columns);
  auto* chunk_sums = reinterpret_cast<float*>(partial);
  walk.each(threads, [&]<int registers, bool part>(const ColumnBlock& block) {
    Vec sum[registers] = {};
    for (std::int64_t row = block.first_row; row < block.last_row; ++row) {
      for (int r = 0; r < registers; ++r) sum[r] += block.load<part>(x, row, r);
    }
    for (int r = 0; r < registers; ++r) {
      block.store<part>(chunk_sums + block.chunk * walk.padded_width(), 0, r, sum[r]);
    }
  });
  for (std::int64_t c = 0; c < columns; ++c) {
    double total = 0;
    for (std::int64_t chunk = 0; chunk < walk.chunks(); ++chunk) {
      const float* row = chunk_sums + chunk * walk.padded_width();
      for (std::int64_t at = c; at < walk.width(); at += columns) {
        total += static_cast<double>(row[at]);
      }
    }
    sums[c] = static_cast<float>(total);
  }
}
}  // namespace

void column_sums(DType type, std::int64_t rows, std::int64_t columns, const void* x, float* sums, std::byte* partial,
                 int threads) {
  if (in_pairs(type)) {
    column_sums_as(rows, columns, static_cast<const bf16*>(x), sums, partial, threads);
  } else {
    column_sums_as(rows, columns, static_cast<const float*>(x), sums, partial, threads);
  }
}

}  // namespace winnow::cpu
