// Sums of products of words (contraction.h) in AVX-512 registers. Needs AVX-512; for
// contraction.cpp and dot_columns.cpp.
#pragma once

#include "kernels/cpu/vec.h"

#if WINNOW_AVX512

namespace winnow::cpu {

struct MultiplyF32 {
  static __m512 add(__m512 sum, __m512 a, __m512 b) { return _mm512_fmadd_ps(a, b, sum); }
};
#if defined(__AVX512BF16__)
struct MultiplyBF16 {
  static __m512 add(__m512 sum, __m512 a, __m512 b) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }
};
#endif

// body.operator()<Multiply, Out>() for words and results of these types.
template <class Body>
void with_word_product(DType words, [[maybe_unused]] DType out, const Body& body) {
  if (words == DType::F32) {
    body.template operator()<MultiplyF32, float>();
    return;
  }
#if defined(__AVX512BF16__)
  if (out == DType::F32) {
    body.template operator()<MultiplyBF16, float>();
  } else {
    body.template operator()<MultiplyBF16, bf16>();
  }
#endif
}

}  // namespace winnow::cpu

#endif
