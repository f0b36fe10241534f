// Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011). A draw is a pure function of
// its key and counter, so nothing has to be saved, and neither thread, rank nor call order can change it.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>

#include "kernels/portable.h"
#include "kernels/portable_math.h"

namespace winnow {

// `seed` belongs to the trial, `stream` names the purpose (see stream_id), `step` the moment.
struct RngKey {
  std::uint64_t seed = 0;
  std::uint32_t stream = 0;
  std::uint32_t step = 0;
  bool operator==(const RngKey&) const = default;
};

struct RngBlock {
  std::uint32_t word[4];
};

// Streams are named; the number is the 32-bit FNV-1a hash of the name ("init/conv1.weight", "data_order").
constexpr std::uint32_t stream_id(std::string_view name) {
  std::uint32_t hash = 2166136261u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash;
}

WINNOW_HD RngBlock philox(const RngKey& key, std::uint64_t counter) {
  std::uint32_t c0 = static_cast<std::uint32_t>(counter), c1 = static_cast<std::uint32_t>(counter >> 32);
  std::uint32_t c2 = key.stream, c3 = key.step;
  std::uint32_t k0 = static_cast<std::uint32_t>(key.seed), k1 = static_cast<std::uint32_t>(key.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = 0xD2511F53ull * c0, p1 = 0xCD9E8D57ull * c2;
    const std::uint32_t n0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    const std::uint32_t n2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<std::uint32_t>(p1);
    c3 = static_cast<std::uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return RngBlock{{c0, c1, c2, c3}};
}

// In (0, 1), exact in float: (23 bits + 1/2) / 2^23. With 24 bits the half would round, and the largest draw to 1.
WINNOW_HD float uniform01(std::uint32_t word) { return (static_cast<float>(word >> 9) + 0.5f) * (1.0f / 8388608.0f); }
// Element i of the stream `key`; elements are independent of each other.
WINNOW_HD float uniform_at(const RngKey& key, std::uint64_t i) { return uniform01(philox(key, i / 4).word[i % 4]); }
// Standard normal by Box-Muller in double, rounded to float; two elements share a block of words. The sine of an angle is the
// cosine of three quarter turns more. The same bits on every device.
WINNOW_HD float normal_at(const RngKey& key, std::uint64_t i) {
  const RngBlock block = philox(key, i / 2);
  const double u = (static_cast<double>(block.word[0]) + 0.5) / 4294967296.0;
  const double v = (static_cast<double>(block.word[1]) + 0.5) / 4294967296.0;
  const double radius = std::sqrt(-2.0 * portable_log(u)), quarters = 4.0 * v + (i % 2 == 0 ? 0.0 : 3.0);
  return static_cast<float>(radius * cos_of_quarters(quarters));
}
// Uniform integer in [0, bound), bound > 0, by multiply-shift on 64 bits (bias below 2^-32 for bound < 2^32).
WINNOW_HD std::uint64_t below(const RngKey& key, std::uint64_t i, std::uint64_t bound) {
  const RngBlock b = philox(key, i);
  const std::uint64_t word = (static_cast<std::uint64_t>(b.word[1]) << 32) | b.word[0];
  const std::uint64_t hi = word >> 32, lo = word & 0xffffffffull;
  return (hi * bound + ((lo * bound) >> 32)) >> 32;
}

}  // namespace winnow
