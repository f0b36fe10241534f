#include "kernels/cpu/contraction.h"

#include <utility>

#include "kernels/cpu/word_product.h"

namespace winnow::cpu {

std::vector<std::int64_t> regular_rows(std::int64_t count, std::int64_t stride) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) rows[static_cast<std::size_t>(i)] = i * stride;
  return rows;
}

#if WINNOW_AVX512
namespace {

struct TileCall {
  const Contraction& shape;
  const std::byte *a, *b;
  const std::int64_t* a_rows;
  const float* bias;
  std::byte* c;
  std::int64_t lanes;  // of the last register
};

// `rows` x `registers` sums, all in registers: GCC keeps them there only if every loop over them is unrolled.
template <class Multiply, class Out, int rows, int registers>
void tile(const TileCall& call) {
  const Contraction& s = call.shape;
  const __mmask16 last = first_lanes(call.lanes);
  const auto column = [](int j) { return static_cast<std::int64_t>(j) * kLanes; };
  std::int64_t row_at[rows];
  __m512 sum[rows][registers];
#pragma GCC unroll 16
  for (int i = 0; i < rows; ++i) row_at[i] = call.a_rows[i];
  if (s.start == Start::Accumulate) {
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i) {
      const Out* from = reinterpret_cast<const Out*>(call.c + i * s.c_row);
#pragma GCC unroll 8
      for (int j = 0; j < registers; ++j) {
        sum[i][j] =
            reinterpret_cast<__m512>(j + 1 < registers ? load(from + column(j)) : load(from + column(j), call.lanes));
      }
    }
  } else {
#pragma GCC unroll 8
    for (int j = 0; j < registers; ++j) {
      // Not a load that masks all lanes off: the processor takes hundreds of cycles over a null address.
      __m512 first = _mm512_setzero_ps();
      if (s.start == Start::Bias) {
        first = _mm512_maskz_loadu_ps(j + 1 < registers ? __mmask16{0xffff} : last, call.bias + column(j));
      }
#pragma GCC unroll 16
      for (int i = 0; i < rows; ++i) sum[i][j] = first;
    }
  }
  const std::byte* a2 = call.a;
  const std::byte* b2 = call.b;
  for (std::int64_t k2 = 0; k2 < s.k[2].count; ++k2, a2 += s.k[2].a, b2 += s.k[2].b) {
    const std::byte *a1 = a2, *b1 = b2;
    for (std::int64_t k1 = 0; k1 < s.k[1].count; ++k1, a1 += s.k[1].a, b1 += s.k[1].b) {
      const std::byte *a = a1, *b = b1;
      for (std::int64_t k = 0; k < s.k[0].count; ++k, a += s.k[0].a, b += s.k[0].b) {
        const auto* words = reinterpret_cast<const float*>(b);
        __m512 right[registers];
#pragma GCC unroll 8
        for (int j = 0; j < registers; ++j) {
          right[j] =
              j + 1 < registers ? _mm512_loadu_ps(words + column(j)) : _mm512_maskz_loadu_ps(last, words + column(j));
        }
#pragma GCC unroll 16
        for (int i = 0; i < rows; ++i) {
          float word;
          __builtin_memcpy(&word, a + row_at[i], sizeof word);
          const __m512 left = _mm512_set1_ps(word);
#pragma GCC unroll 8
          for (int j = 0; j < registers; ++j) {
            sum[i][j] = Multiply::add(sum[i][j], left, right[j]);
          }
        }
      }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < rows; ++i) {
    Out* to = reinterpret_cast<Out*>(call.c + i * s.c_row);
#pragma GCC unroll 8
    for (int j = 0; j < registers; ++j) {
      const Vec value = reinterpret_cast<Vec>(sum[i][j]);
      if (j + 1 < registers) {
        store(to + column(j), value);
      } else {
        store(to + column(j), value, call.lanes);
      }
    }
  }
}

using Tile = void (*)(const TileCall&);
// How many rows of so many registers of sums run fastest, of those that fit beside a row of B in 32 (measured).
constexpr int kRows[] = {12, 12, 8, 6, 5};
constexpr int kMostRows = 12;

template <class Multiply, class Out, int registers, int... i>
constexpr std::array<Tile, kMostRows> tiles_of(std::integer_sequence<int, i...>) {
  return {(i < kRows[registers - 1] ? &tile<Multiply, Out, (i < kRows[registers - 1] ? i + 1 : 1), registers>
                                    : nullptr)...};
}
template <class Multiply, class Out, int... j>
constexpr auto tiles(std::integer_sequence<int, j...>) {
  return std::array<std::array<Tile, kMostRows>, sizeof...(j)>{
      tiles_of<Multiply, Out, j + 1>(std::make_integer_sequence<int, kMostRows>())...};
}

// Rows are cut as evenly as the widest tile allows.
template <class Multiply, class Out>
void contract_as(const Contraction& shape, const std::byte* a, const std::byte* b, const float* bias, std::byte* c) {
  static constexpr auto kTiles = tiles<Multiply, Out>(std::make_integer_sequence<int, Panels::kWidest>());
  if (shape.m == 0) return;
  const Panels panels(shape.n, shape.widest);
  Contraction s = shape;
  for (std::int64_t panel = 0; panel < panels.count(); ++panel) {
    const std::int64_t first = panels.first(panel), width = panels.width(panel);
    const std::int64_t column = first * kLanes;
    const std::int64_t most = kRows[width - 1], cuts = (s.m + most - 1) / most;
    const std::int64_t rows = s.m / cuts, longer = s.m % cuts;
    std::int64_t offset = column * kWordBytes;
    if (s.packed) {
      offset *= s.depth();
      s.k[0].b = width * kLanes * kWordBytes;
      s.k[1].b = s.k[0].b * s.k[0].count;
      s.k[2].b = s.k[1].b * s.k[1].count;
    }
    TileCall call{s,
                  a,
                  b + offset,
                  s.a_rows,
                  bias != nullptr ? bias + column : nullptr,
                  c + column * static_cast<std::int64_t>(sizeof(Out)),
                  std::min(s.n - column - (width - 1) * kLanes, kLanes)};
    for (std::int64_t cut = 0; cut < cuts; ++cut) {
      const std::int64_t height = rows + (cut < longer ? 1 : 0);
      kTiles[static_cast<std::size_t>(width - 1)][static_cast<std::size_t>(height - 1)](call);
      call.a_rows += height;
      call.c += height * s.c_row;
    }
  }
}

}  // namespace

bool can_contract(DType type) {
#if defined(__AVX512BF16__)
  if (type == DType::BF16) return true;
#endif
  return type == DType::F32;
}

void contract(const Contraction& s, const void* a, const void* b, const float* bias, void* c) {
  with_word_product(s.dtype, s.c_dtype, [&]<class Multiply, class Out>() {
    contract_as<Multiply, Out>(s, static_cast<const std::byte*>(a), static_cast<const std::byte*>(b), bias,
                               static_cast<std::byte*>(c));
  });
}
#else

bool can_contract(DType) { return false; }
void contract(const Contraction&, const void*, const void*, const float*, void*) {}

#endif

}  // namespace winnow::cpu
