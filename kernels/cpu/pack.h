// Copies that bring operands of a contraction (contraction.h) into words and panels. Borrow all
// memory; any thread count writes the same bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/contraction.h"

namespace winnow::cpu {

// Where the elements of B {k, n} lie in memory: rows of n neighbours, or columns of k neighbours.
enum class Order : std::uint8_t { Rows, Columns };

// Packs one panel of f32 B {k, n} (contraction.h), n at most Panels::kMostColumns, as words of
// `type`; an odd k is filled up with zeros. `stride`: elements from one row or column to the next.
// `to` has Panels(n).bytes(words_of(type, k)) bytes.
void pack_panel(DType type, std::int64_t k, std::int64_t n, const float* from, Order order, std::int64_t stride,
                std::byte* to);

// All panels of B {k, n}, one behind the other. `to` has panels.bytes(words_of(type, k)) bytes.
void pack_panels(DType type, std::int64_t k, std::int64_t n, const Panels& panels, const float* from, Order order,
                 std::byte* to, int threads);

// Joins two arrays to words, element by element, `low` in the lower half: `rows` rows of `width`
// words, each from every second row of `low` and `high`. Without `high` the upper halves are 0.
void pair_rows(std::int64_t rows, std::int64_t width, const bf16* low, const bf16* high, std::uint32_t* to);

// sums[c] = sum over rows of x {rows, columns}. `partial` has column_sums_bytes() bytes.
std::size_t column_sums_bytes(std::int64_t rows, std::int64_t columns);
void column_sums(DType type, std::int64_t rows, std::int64_t columns, const void* x, float* sums, std::byte* partial,
                 int threads);

}  // namespace winnow::cpu
