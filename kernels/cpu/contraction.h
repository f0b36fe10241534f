// C {m, n} = sum over k of A {m, k} B {k, n}: the inner loops of every layer that we multiply
// ourselves, with both operands read where they lie. Operands are words of 32 bits, one f32 or two
// neighbours along k in bf16, and sums are f32. A tile of C stays in registers while k runs over up
// to three nested axes, so a convolution needs no copy of its patches. A sum that ends within a
// word of bf16 multiplies its other half by zero, so what lies there must be finite. Owns nothing;
// any number of threads may contract into different C.
//
// One AVX-512 core of Zen 5 (peak about 255 GFLOP/s in f32, 510 in bf16) runs the tiles at 250 and
// 500 from two registers of columns on, at 200 and 410 with one.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/portable.h"

namespace winnow::cpu {

inline constexpr std::int64_t kWordBytes = 4;
constexpr bool in_pairs(DType type) { return type == DType::BF16; }
// How many words k elements make.
constexpr std::int64_t words_of(DType type, std::int64_t k) { return in_pairs(type) ? (k + 1) / 2 : k; }

// Can contract() multiply words of this type on the processor this was built for?
bool can_contract(DType type);

// What C starts from: zero, one value for each column, or itself.
enum class Start : std::uint8_t { Zero, Bias, Accumulate };

// All strides and offsets are bytes. The columns of B and C are neighbours.
struct Contraction {
  struct Axis {
    std::int64_t count = 1, a = 0, b = 0;
  };
  DType dtype = DType::F32;  // of the words of A and B
  std::int64_t m = 0, n = 0;
  const std::int64_t* a_rows = nullptr;  // where each of the m rows of A begins; borrowed
  std::int64_t c_row = 0;
  std::array<Axis, 3> k;  // innermost first
  // B lies in panels (pack.h), one behind the other over all of k; its strides are then known.
  bool packed = false;
  // Registers of a panel; narrow ones go with taller tiles, which read B less often.
  std::int64_t widest = 5;
  DType c_dtype = DType::F32;
  Start start = Start::Zero;

  std::int64_t depth() const { return k[0].count * k[1].count * k[2].count; }
};

// Rows of A that are `stride` apart.
std::vector<std::int64_t> regular_rows(std::int64_t count, std::int64_t stride);

void contract(const Contraction& shape, const void* a, const void* b, const float* bias, void* c);

// Columns are cut into panels of at most `widest` registers, as even as can be.
class Panels {
 public:
  explicit Panels(std::int64_t columns, std::int64_t widest = kWidest)
      : registers_((columns + kColumns - 1) / kColumns), count_((registers_ + widest - 1) / widest) {}
  std::int64_t count() const { return count_; }
  std::int64_t first(std::int64_t panel) const {  // register
    return panel * (registers_ / count_) + std::min(panel, registers_ % count_);
  }
  std::int64_t width(std::int64_t panel) const { return first(panel + 1) - first(panel); }
  // Bytes of a packed B of this depth.
  std::int64_t bytes(std::int64_t depth) const { return registers_ * depth * kColumns * kWordBytes; }

  static constexpr std::int64_t kColumns = 16, kWidest = 5, kMostColumns = kWidest * kColumns;

 private:
  std::int64_t registers_, count_;
};

}  // namespace winnow::cpu
