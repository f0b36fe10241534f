// What device code needs that g++ does not know: keywords, the indices of a thread, barriers, shuffles, votes and atomics.
// Included by the emulated <cuda_runtime.h>. All of it belongs to the block that the calling host thread runs
// (tests/emulator/block.h), so kernels may run on several host threads at once. Atomics on floating point are missing on
// purpose: their order would change results.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <source_location>
#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __constant__ const
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)

// An array of the block. Its name is a reference to an array, as under nvcc. The tag is what tells arrays apart.
#define WINNOW_SHARED(type, name, count)     \
  static constexpr char name##_tag = 0;      \
  auto& name = *static_cast<type(*)[count]>( \
      ::winnow::emulator::shared_array(&name##_tag, sizeof(type) * (count), alignof(type), #name))
// The dynamic shared memory of the launch, as a pointer.
#define WINNOW_DYNAMIC_SHARED(type, name) type* name = static_cast<type*>(::winnow::emulator::dynamic_shared())

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned of_x = 1, unsigned of_y = 1, unsigned of_z = 1) : x(of_x), y(of_y), z(of_z) {}
};

inline constinit thread_local uint3 threadIdx{}, blockIdx{};
inline constinit thread_local dim3 blockDim{}, gridDim{};
inline constexpr int warpSize = 32;

namespace winnow::emulator {

// Where in the sources a lane waits.
using Place = std::source_location;
enum class Meeting : std::uint8_t { Barrier, WarpBarrier, Shuffle, Ballot };

// The running lane waits until all lanes of the block (Barrier) or of `mask` are here. Gives the value of lane `source`
// of the warp, or the lanes whose value is not 0 (Ballot).
std::uint64_t meet(Meeting meeting, unsigned mask, std::uint64_t value, int source, const Place& place);
void* shared_array(const void* tag, std::size_t bytes, std::size_t alignment, const char* name);
void* dynamic_shared();

inline int lane_of_warp() {
  return static_cast<int>((threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % warpSize);
}

template <class T>
T shuffled(unsigned mask, T value, int source, const Place& place) {
  static_assert(std::is_arithmetic_v<T> && sizeof(T) <= sizeof(std::uint64_t));
  std::uint64_t word = 0;
  std::memcpy(&word, &value, sizeof value);
  word = meet(Meeting::Shuffle, mask, word, source, place);
  std::memcpy(&value, &word, sizeof value);
  return value;
}

}  // namespace winnow::emulator

// The last argument of what waits: where it is called.
#define WINNOW_PLACE const winnow::emulator::Place& place = std::source_location::current()

inline void __syncthreads(WINNOW_PLACE) { winnow::emulator::meet(winnow::emulator::Meeting::Barrier, 0, 0, 0, place); }
inline void __syncwarp(unsigned mask = ~0u, WINNOW_PLACE) {
  winnow::emulator::meet(winnow::emulator::Meeting::WarpBarrier, mask, 0, winnow::emulator::lane_of_warp(), place);
}
// A lane that would read beyond its `width` lanes gets its own value.
template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = warpSize, WINNOW_PLACE) {
  const int lane = winnow::emulator::lane_of_warp();
  return winnow::emulator::shuffled(mask, value, (lane & -width) + (source & (width - 1)), place);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize, WINNOW_PLACE) {
  const int lane = winnow::emulator::lane_of_warp(), step = static_cast<int>(delta);
  return winnow::emulator::shuffled(mask, value, (lane & (width - 1)) + step < width ? lane + step : lane, place);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = warpSize, WINNOW_PLACE) {
  const int lane = winnow::emulator::lane_of_warp(), step = static_cast<int>(delta);
  return winnow::emulator::shuffled(mask, value, (lane & (width - 1)) >= step ? lane - step : lane, place);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = warpSize, WINNOW_PLACE) {
  const int lane = winnow::emulator::lane_of_warp(), source = lane ^ lanes;
  return winnow::emulator::shuffled(mask, value, source / width > lane / width ? lane : source, place);
}
inline unsigned __ballot_sync(unsigned mask, int vote, WINNOW_PLACE) {
  return static_cast<unsigned>(winnow::emulator::meet(winnow::emulator::Meeting::Ballot, mask, vote != 0, 0, place));
}
inline int __any_sync(unsigned mask, int vote, WINNOW_PLACE) { return __ballot_sync(mask, vote, place) != 0; }
inline int __all_sync(unsigned mask, int vote, WINNOW_PLACE) { return __ballot_sync(mask, vote, place) == mask; }

// One lane runs at a time, so an atomic is a plain update.
template <class T>
concept AtomicInteger = std::integral<T> && sizeof(T) >= 4;
template <AtomicInteger T>
T atomicAdd(T* at, std::type_identity_t<T> value) {
  return std::exchange(*at, static_cast<T>(*at + value));
}
inline void __threadfence() {}
template <AtomicInteger T>
T atomicMin(T* at, std::type_identity_t<T> value) {
  return std::exchange(*at, value < *at ? value : *at);
}
template <AtomicInteger T>
T atomicMax(T* at, std::type_identity_t<T> value) {
  return std::exchange(*at, *at < value ? value : *at);
}
template <AtomicInteger T>
T atomicCAS(T* at, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  return std::exchange(*at, *at == expected ? value : *at);
}

inline int __popc(unsigned word) { return std::popcount(word); }
inline int __clz(int word) { return std::countl_zero(static_cast<unsigned>(word)); }
inline int __ffs(int word) { return word == 0 ? 0 : std::countr_zero(static_cast<unsigned>(word)) + 1; }
inline unsigned __float_as_uint(float value) { return std::bit_cast<unsigned>(value); }
inline float __uint_as_float(unsigned word) { return std::bit_cast<float>(word); }
template <class T>
T __ldg(const T* at) {
  return *at;
}
