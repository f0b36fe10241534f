// What every kernel source shares between the CPU and CUDA: the function qualifier of functors and
// the element types. No state; everything here may be used from any thread.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define WINNOW_HD __host__ __device__ __forceinline__
#else
#define WINNOW_HD inline
#endif

namespace winnow {

// A functor that reads values of the run (RunState, a learned coefficient) has loaded(): itself with
// those values read. Loops call it once a range or thread, so that nothing is read again at every element.
template <class Body>
WINNOW_HD auto loaded(const Body& body) {
  if constexpr (requires { body.loaded(); }) {
    return body.loaded();
  } else {
    return body;
  }
}

// Infinite or NaN, by bits: true also where a compiler may take numbers for finite.
WINNOW_HD bool not_finite(float value) {
  std::uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return (bits & 0x7f800000u) == 0x7f800000u;
}

// Element types of tensors. Masks are U8 (0 or 1 a weight); labels are I32.
enum class DType : std::uint8_t { F32, BF16, I32, U8 };

constexpr std::int64_t size_of(DType type) {
  return type == DType::F32 || type == DType::I32 ? 4 : type == DType::BF16 ? 2 : 1;
}
constexpr const char* name_of(DType type) {
  constexpr const char* names[] = {"f32", "bf16", "i32", "u8"};
  return names[static_cast<int>(type)];
}

// bfloat16 storage: the upper half of a float, rounded to nearest even. Arithmetic is done in float.
struct bf16 {
  std::uint16_t bits;
};

WINNOW_HD float to_float(float value) { return value; }
WINNOW_HD float to_float(bf16 value) {
  const std::uint32_t wide = static_cast<std::uint32_t>(value.bits) << 16;
  float out;
  memcpy(&out, &wide, sizeof out);
  return out;
}

template <class T>
WINNOW_HD T from_float(float value);
template <>
WINNOW_HD float from_float<float>(float value) {
  return value;
}
template <>
WINNOW_HD bf16 from_float<bf16>(float value) {
  std::uint32_t wide;
  memcpy(&wide, &value, sizeof wide);
  const bool nan = (wide & 0x7fffffffu) > 0x7f800000u;
  const std::uint32_t rounded = (wide + 0x7fffu + ((wide >> 16) & 1u)) >> 16;
  const std::uint32_t quiet = (wide >> 16) | 0x40u;
  return bf16{static_cast<std::uint16_t>(nan ? quiet : rounded)};
}

}  // namespace winnow
