// How many bits a tensor needs, by its counts alone: the ideal sizes that papers compare. What a
// result file really takes, after its filters, is in experiments/results/weight_forms.h. Pure.
#pragma once

#include <cstdint>

namespace winnow {

struct StoredCount {
  std::int64_t numel = 0;
  std::int64_t kept = 0;       // entries that are not zero by mask
  std::int64_t untouched = 0;  // kept entries that a seed regenerates
};

struct StoredBits {
  std::int64_t dense = 0;    // 32 N
  std::int64_t bitmask = 0;  // N + 32 k
  std::int64_t index = 0;    // k (32 + ceil(log2 N))
  std::int64_t seed = -1;    // 32 and whatever differs from the regenerated tensor; -1: nothing can be regenerated
  std::int64_t own = -1;     // the method's own form and which entries are kept; -1: there is none
  std::int64_t smallest() const;
  const char* form() const;  // "dense", "bitmask", "index", "seed", "own": which one is smallest
};

// Bits that say which k of n entries are meant: min(n, k ceil(log2 n)); 0 if there is no choice.
std::int64_t selection_bits(std::int64_t n, std::int64_t k);
StoredBits stored_bits(const StoredCount& count);
// Of a form of the method's own whose codes and side information take `coded` bits.
std::int64_t own_bits(const StoredCount& count, std::int64_t coded);

}  // namespace winnow
