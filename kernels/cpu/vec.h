// Sixteen floats in one register, loaded from and stored to f32 or bf16. Compiles for any
// instruction set; with AVX-512 it is one register. For the CPU kernels that compilers do not
// vectorise well by themselves.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kernels/portable.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#define WINNOW_AVX512 1
#include <immintrin.h>
#else
#define WINNOW_AVX512 0
#endif

namespace winnow::cpu {

inline constexpr std::int64_t kLanes = 16;
using Vec = float __attribute__((vector_size(64)));
using VecBits = std::uint32_t __attribute__((vector_size(64)));
using HalfBits = std::uint16_t __attribute__((vector_size(32)));
using Bytes = std::uint8_t __attribute__((vector_size(16)));

inline Vec splat(float value) { return Vec{} + value; }

inline Vec widen(HalfBits half) {
#if WINNOW_AVX512
  // The zero-masked form, since GCC 12 takes the plain one's undefined source for a mistake of ours.
  const __m512i bits = _mm512_maskz_cvtepu16_epi32(0xffff, reinterpret_cast<__m256i>(half));
  return reinterpret_cast<Vec>(reinterpret_cast<VecBits>(bits) << 16);
#else
  return reinterpret_cast<Vec>(__builtin_convertvector(half, VecBits) << 16);
#endif
}
// Rounds to nearest even, as from_float<bf16>.
inline HalfBits narrow(Vec v) {
#if WINNOW_AVX512 && defined(__AVX512BF16__)
  return reinterpret_cast<HalfBits>(_mm512_cvtneps_pbh(reinterpret_cast<__m512>(v)));
#else
  const VecBits wide = reinterpret_cast<VecBits>(v);
  const VecBits rounded = (wide + 0x7fffu + ((wide >> 16) & 1u)) >> 16;
  const VecBits nan = reinterpret_cast<VecBits>((wide & 0x7fffffffu) > 0x7f800000u);
  const VecBits half = (nan & ((wide >> 16) | 0x40u)) | (~nan & rounded);
  return __builtin_convertvector(half, HalfBits);
#endif
}

inline Vec load(const float* from) {
  Vec v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}
inline Vec load(const bf16* from) {
  HalfBits half;
  __builtin_memcpy(&half, from, sizeof half);
  return widen(half);
}
inline Bytes load(const std::uint8_t* from) {
  Bytes v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}
inline void store(std::uint8_t* to, Bytes v) { __builtin_memcpy(to, &v, sizeof v); }
inline void store(float* to, Vec v) { __builtin_memcpy(to, &v, sizeof v); }
inline void store(bf16* to, Vec v) {
  const HalfBits half = narrow(v);
  __builtin_memcpy(to, &half, sizeof half);
}

// The same for n <= 16 elements; lanes beyond n are zero when loaded and not stored.
#if WINNOW_AVX512
inline __mmask16 first_lanes(std::int64_t n) { return static_cast<__mmask16>((1u << n) - 1u); }
inline Vec load(const float* from, std::int64_t n) {
  return reinterpret_cast<Vec>(_mm512_maskz_loadu_ps(first_lanes(n), from));
}
inline Vec load(const bf16* from, std::int64_t n) {
  return widen(reinterpret_cast<HalfBits>(_mm256_maskz_loadu_epi16(first_lanes(n), from)));
}
inline Bytes load(const std::uint8_t* from, std::int64_t n) {
  return reinterpret_cast<Bytes>(_mm_maskz_loadu_epi8(first_lanes(n), from));
}
inline void store(std::uint8_t* to, Bytes v, std::int64_t n) {
  _mm_mask_storeu_epi8(to, first_lanes(n), reinterpret_cast<__m128i>(v));
}
inline void store(float* to, Vec v, std::int64_t n) {
  _mm512_mask_storeu_ps(to, first_lanes(n), reinterpret_cast<__m512>(v));
}
inline void store(bf16* to, Vec v, std::int64_t n) {
  _mm256_mask_storeu_epi16(to, first_lanes(n), reinterpret_cast<__m256i>(narrow(v)));
}
#else
template <class T>
inline auto load(const T* from, std::int64_t n) {
  T padded[kLanes] = {};
  __builtin_memcpy(padded, from, static_cast<std::size_t>(n) * sizeof(T));
  return load(padded);
}
template <class T, class V>
inline void store(T* to, V v, std::int64_t n) {
  T padded[kLanes];
  store(padded, v);
  __builtin_memcpy(to, padded, static_cast<std::size_t>(n) * sizeof(T));
}
#endif

// A part of a vector, as wide as this processor's registers.
#if defined(__AVX512F__)
inline constexpr int kPartBytes = 64;
#elif defined(__AVX2__)
inline constexpr int kPartBytes = 32;
#else
inline constexpr int kPartBytes = 16;
#endif
template <class Element>
struct PartOf {
  using type [[gnu::vector_size(kPartBytes)]] = Element;
};

// f of vectors part by part: GCC 12 chooses between wider ones element by element. The result is like the first.
template <class F, class First, class... Rest>
First by_part(const F& f, const First& first, const Rest&... rest) {
  const auto part = [](const auto& whole, int at) {
    typename PartOf<std::remove_cvref_t<decltype(whole[0])>>::type out;
    __builtin_memcpy(&out, reinterpret_cast<const char*>(&whole) + at, kPartBytes);
    return out;
  };
  First result;
  for (int at = 0; at < static_cast<int>(sizeof(First)); at += kPartBytes) {
    const auto made = f(part(first, at), part(rest, at)...);
    __builtin_memcpy(reinterpret_cast<char*>(&result) + at, &made, kPartBytes);
  }
  return result;
}

// Both as the functors Relu and ReluBackward: NaN stays, so that a diverged run is seen.
inline Vec relu(Vec v) {
  return by_part([](auto x) { return x < 0.0f ? decltype(x){} : x; }, v);
}
inline Vec where_open(Vec gate, Vec v) {
  return by_part([](auto x, auto g) { return g <= 0.0f ? decltype(x){} : x; }, v, gate);
}
// v where the whole numbers `a` are `b`, else 0.
inline Vec where_equal(VecBits a, std::uint32_t b, Vec v) {
  return by_part([b](auto x, auto n) { return n == b ? x : decltype(x){}; }, v, a);
}

}  // namespace winnow::cpu
