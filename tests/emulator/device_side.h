// What device code needs that g++ does not know: keywords, the indices of a thread, barriers, shuffles and atomics.
// Included by the emulated <cuda_runtime.h>. All of it belongs to the block that the calling host thread runs
// (tests/emulator/block.h), so kernels may run on several host threads at once. Atomics on floating point are missing on
// purpose: their order would change results.
#pragma once

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
#define __forceinline__ inline

// An array of the block. Its name is a reference to an array, as under nvcc. The tag is what tells arrays apart.
#define WINNOW_SHARED(type, name, count)     \
  static constexpr char name##_tag = 0;      \
  auto& name = *static_cast<type(*)[count]>( \
      ::winnow::emulator::shared_array(&name##_tag, sizeof(type) * (count), alignof(type), #name))

// Launches have one dimension.
struct dim3 {
  unsigned x = 0;
};

inline constinit thread_local dim3 threadIdx{}, blockIdx{}, blockDim{}, gridDim{};
inline constexpr int warpSize = 32;

namespace winnow::emulator {

// Where in the sources a lane waits.
using Place = std::source_location;
enum class Meeting : std::uint8_t { Barrier, Shuffle };

// The running lane waits until all lanes of the block (Barrier) or of `mask` are here. Gives the value of lane `source`
// of the warp.
std::uint64_t meet(Meeting meeting, unsigned mask, std::uint64_t value, int source, const Place& place);
void* shared_array(const void* tag, std::size_t bytes, std::size_t alignment, const char* name);

}  // namespace winnow::emulator

// The last argument of what waits: where it is called.
#define WINNOW_PLACE const winnow::emulator::Place& place = std::source_location::current()

inline void __syncthreads(WINNOW_PLACE) { winnow::emulator::meet(winnow::emulator::Meeting::Barrier, 0, 0, 0, place); }
// A lane that would read beyond its `width` lanes gets its own value.
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize, WINNOW_PLACE) {
  static_assert(std::is_arithmetic_v<T> && sizeof(T) <= sizeof(std::uint64_t));
  const int lane = static_cast<int>(threadIdx.x % warpSize), step = static_cast<int>(delta),
            source = (lane & (width - 1)) + step < width ? lane + step : lane;
  std::uint64_t word = 0;
  std::memcpy(&word, &value, sizeof value);
  word = winnow::emulator::meet(winnow::emulator::Meeting::Shuffle, mask, word, source, place);
  std::memcpy(&value, &word, sizeof value);
  return value;
}

// One lane runs at a time, so an atomic is a plain update.
template <std::integral T>
T atomicAdd(T* at, std::type_identity_t<T> value) {
  return std::exchange(*at, static_cast<T>(*at + value));
}
inline void __threadfence() {}
template <std::integral T>
T atomicMin(T* at, std::type_identity_t<T> value) {
  return std::exchange(*at, value < *at ? value : *at);
}
