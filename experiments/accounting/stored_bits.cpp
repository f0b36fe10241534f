#include "experiments/accounting/stored_bits.h"

#include <algorithm>
#include <bit>

namespace winnow {
namespace {

constexpr std::int64_t kValueBits = 32, kSeedBits = 32;

std::int64_t index_bits(std::int64_t n) {
  return n < 2 ? 0 : static_cast<std::int64_t>(std::bit_width(static_cast<std::uint64_t>(n - 1)));
}

}  // namespace

std::int64_t StoredBits::smallest() const {
  std::int64_t least = std::min({dense, bitmask, index});
  for (const std::int64_t possible : {seed, own}) {
    if (possible >= 0) least = std::min(least, possible);
  }
  return least;
}

const char* StoredBits::form() const {
  const std::int64_t best = smallest();
  if (dense == best) return "dense";
  if (seed == best) return "seed";
  if (own == best) return "own";
  return bitmask == best ? "bitmask" : "index";
}

std::int64_t selection_bits(std::int64_t n, std::int64_t k) {
  return k == 0 || k == n ? 0 : std::min(n, k * index_bits(n));
}

std::int64_t own_bits(const StoredCount& count, std::int64_t coded) {
  return coded + selection_bits(count.numel, count.kept);
}

StoredBits stored_bits(const StoredCount& count) {
  StoredBits bits;
  bits.dense = kValueBits * count.numel;
  bits.bitmask = count.numel + kValueBits * count.kept;
  bits.index = count.kept * (kValueBits + index_bits(count.numel));
  if (count.untouched > 0) {
    const std::int64_t values = count.kept - count.untouched;
    bits.seed =
        kSeedBits + kValueBits * values + selection_bits(count.numel, count.kept) + selection_bits(count.kept, values);
  }
  return bits;
}

}  // namespace winnow
