#include "kernels/top_k.h"

#include <algorithm>
#include <array>

#include "kernels/functors/top_k.h"

namespace winnow {
namespace {

using Counts = std::array<std::uint32_t, 2048>;

// The digit in which the `rest`-th entry in ascending order lies; takes off those that lie below it.
std::uint32_t digit_of(const Counts& counts, std::int64_t& rest) {
  std::uint32_t digit = 0;
  while (digit + 1 < counts.size() && counts[digit] < rest) rest -= counts[digit++];
  return digit;
}

// Counts of the leading 11 bits. Magnitudes crowd into a few digits, and an increment waits for the one before of the same
// counter, so neighbours have counters of their own.
Counts leading_digits(std::span<const float> score) {
  std::array<Counts, 4> lane{};
  std::size_t i = 0;
  for (; i + lane.size() <= score.size(); i += lane.size()) {
    for (std::size_t l = 0; l < lane.size(); ++l) ++lane[l][magnitude_bits(score[i + l]) >> 20];
  }
  for (; i < score.size(); ++i) ++lane[0][magnitude_bits(score[i]) >> 20];
  for (std::size_t digit = 0; digit < lane[0].size(); ++digit) {
    lane[0][digit] += lane[1][digit] + lane[2][digit] + lane[3][digit];
  }
  return lane[0];
}

// Those of which the digit at `shift` is this one, in their order.
std::int64_t of_digit(std::int64_t n, const auto& bits_at, int shift, std::uint32_t digit, std::uint32_t* list) {
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const std::uint32_t bits = bits_at(i);
    list[count] = bits;
    count += bits >> shift == digit ? 1 : 0;
  }
  return count;
}

}  // namespace

// Radix selection on the bits of |score|: 11, 11 and 9 of them, each time among those that agree with the limit so far.
void keep_largest(std::span<const float> score, std::int64_t drop, std::uint8_t* keep, std::uint32_t* scratch) {
  const auto n = static_cast<std::int64_t>(score.size());
  if (drop <= 0 || drop >= n) {
    std::fill_n(keep, n, drop <= 0 ? std::uint8_t{1} : std::uint8_t{0});
    return;
  }
  std::int64_t rest = drop;  // of the list, which are to go
  std::uint32_t limit = digit_of(leading_digits(score), rest);
  std::int64_t left = of_digit(
      n, [&](std::int64_t i) { return magnitude_bits(score[static_cast<std::size_t>(i)]); }, 20, limit, scratch);
  for (const auto& [shift, digits] : {std::pair{9, 0x7ffu}, {0, 0x1ffu}}) {
    Counts counts{};
    for (std::int64_t i = 0; i < left; ++i) ++counts[(scratch[i] >> shift) & digits];
    limit = limit << (shift == 0 ? 9 : 11) | digit_of(counts, rest);
    left = of_digit(
        left, [&](std::int64_t i) { return scratch[i]; }, shift, limit, scratch);
  }
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) keep[i] = magnitude_bits(score[static_cast<std::size_t>(i)]) > limit ? 1 : 0;
  if (rest == left) return;  // no equal one stays
  for (std::int64_t i = 0; i < n; ++i) {
    if (magnitude_bits(score[static_cast<std::size_t>(i)]) == limit && rest-- <= 0) keep[i] = 1;
  }
}

}  // namespace winnow
