#include "kernels/top_k.h"

#include <array>
#include <bit>

namespace winnow {
namespace {

std::uint32_t magnitude_bits(float value) { return std::bit_cast<std::uint32_t>(value) & 0x7fffffffu; }

}  // namespace

// Radix selection on the bits of |score| in three passes, no sorting, so the cost is linear.
void keep_largest(std::span<const float> score, std::int64_t drop, std::uint8_t* keep) {
  // The magnitude of the last dropped entry, found digit by digit; `rest` counts dropped entries that equal it so far.
  std::uint32_t limit = 0, known = 0;
  std::int64_t rest = drop;
  for (const int shift : {20, 9, 0}) {
    const std::uint32_t digits = shift == 0 ? 0x1ffu : 0x7ffu;
    std::array<std::int64_t, 2048> count{};
    for (const float s : score) {
      const std::uint32_t bits = magnitude_bits(s);
      if ((bits & known) == limit) ++count[(bits >> shift) & digits];
    }
    std::uint32_t digit = 0;
    while (digit < digits && count[digit] < rest) rest -= count[digit++];
    limit |= digit << shift;
    known |= digits << shift;
  }
  for (std::size_t i = 0; i < score.size(); ++i) {
    const std::uint32_t bits = magnitude_bits(score[i]);
    const bool dropped = bits < limit || (bits == limit && rest-- > 0);
    keep[i] = dropped ? 0 : 1;
  }
}

}  // namespace winnow
