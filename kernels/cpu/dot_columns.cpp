#include "kernels/cpu/dot_columns.h"

#include <array>

#include "kernels/cpu/vec.h"
#include "kernels/cpu/word_product.h"

namespace winnow::cpu {

std::int64_t dot_columns_of(const Contraction& s) {
  const std::int64_t rest = s.n % Panels::kColumns;
  const bool long_runs = s.k[0].count >= 2 * Panels::kColumns && s.k[0].a == kWordBytes;
  return rest > 0 && rest <= kMostDotColumns && s.n > Panels::kColumns && long_runs ? rest : 0;
}

#if WINNOW_AVX512
namespace {

float sum_of(Vec v) {
  using Half = float __attribute__((vector_size(32)));
  using Quarter = float __attribute__((vector_size(16)));
  const Half half = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                    __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
  const Quarter quarter =
      __builtin_shufflevector(half, half, 0, 1, 2, 3) + __builtin_shufflevector(half, half, 4, 5, 6, 7);
  return (quarter[0] + quarter[2]) + (quarter[1] + quarter[3]);
}

template <class Multiply, class Out, int rows, int columns>
void dots(const Contraction& s, const std::int64_t* a_rows, const std::byte* a, const std::byte* b, const float* bias,
          std::byte* c) {
  const std::int64_t words = s.k[0].count, run = words * kWordBytes, column = run * s.k[1].count;
  const __mmask16 last = first_lanes(words % kLanes);
  __m512 sum[rows][columns] = {};
  const auto add = [&](const std::byte* from_a, const std::byte* from_b, __mmask16 mask) {
    __m512 right[columns];
#pragma GCC unroll 4
    for (int j = 0; j < columns; ++j) right[j] = _mm512_maskz_loadu_ps(mask, from_b + j * column);
#pragma GCC unroll 4
    for (int i = 0; i < rows; ++i) {
      const __m512 left = _mm512_maskz_loadu_ps(mask, from_a + a_rows[i]);
#pragma GCC unroll 4
      for (int j = 0; j < columns; ++j) sum[i][j] = Multiply::add(sum[i][j], left, right[j]);
    }
  };
  for (std::int64_t k1 = 0; k1 < s.k[1].count; ++k1, a += s.k[1].a, b += run) {
    std::int64_t k = 0;
    for (; k + kLanes <= words; k += kLanes) add(a + k * kWordBytes, b + k * kWordBytes, 0xffff);
    if (last != 0) add(a + k * kWordBytes, b + k * kWordBytes, last);
  }
#pragma GCC unroll 4
  for (int i = 0; i < rows; ++i) {
    auto* to = reinterpret_cast<Out*>(c + i * s.c_row);
#pragma GCC unroll 4
    for (int j = 0; j < columns; ++j) {
      const float start = s.start == Start::Bias ? bias[j] : 0.0f;
      to[j] = from_float<Out>(start + sum_of(reinterpret_cast<Vec>(sum[i][j])));
    }
  }
}

template <class Multiply, class Out, int columns>
void dot_rows(const Contraction& s, const std::byte* a, const std::byte* b, const float* bias, std::byte* c) {
  std::int64_t row = 0;
  for (; row + 4 <= s.m; row += 4) {
    dots<Multiply, Out, 4, columns>(s, s.a_rows + row, a, b, bias, c + row * s.c_row);
  }
  for (; row < s.m; ++row) {
    dots<Multiply, Out, 1, columns>(s, s.a_rows + row, a, b, bias, c + row * s.c_row);
  }
}

}  // namespace

void dot_columns(const Contraction& s, std::int64_t columns, const void* a, const void* b, const float* bias, void* c) {
  with_word_product(s.dtype, s.c_dtype, [&]<class Multiply, class Out>() {
    constexpr auto kByColumns =
        std::array{&dot_rows<Multiply, Out, 1>, &dot_rows<Multiply, Out, 2>, &dot_rows<Multiply, Out, 3>};
    kByColumns[static_cast<std::size_t>(columns - 1)](
        s, static_cast<const std::byte*>(a), static_cast<const std::byte*>(b), bias, static_cast<std::byte*>(c));
  });
}
#else
void dot_columns(const Contraction&, std::int64_t, const void*, const void*, const float*, void*) {}
#endif

}  // namespace winnow::cpu
