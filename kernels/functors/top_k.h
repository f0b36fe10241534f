// The entries of largest magnitude by the tie rule of kernels/top_k.h, without a word to the host in between: radix selection
// on the bits of |score|, a digit a pass. Each chunk of entries counts its digits in memory of its own, the counts are added up
// by digit, and one thread picks the digit in which the limit lies. All are whole numbers, so any order gives the same bits.
// Single source for CPU and CUDA.
#pragma once

#include <cstdint>

#include "kernels/portable.h"
#include "kernels/top_k.h"

namespace winnow {

inline constexpr int kSelectBits = 8, kSelectDigits = 1 << kSelectBits, kSelectPasses = 4;

// Sign off; NaN is above infinity.
WINNOW_HD std::uint32_t magnitude_bits(float value) {
  std::uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits & 0x7fffffffu;
}

// What is known of the limit so far: its leading bits, and how many of the entries that agree with it are to go.
struct Selection {
  std::int64_t rest;
  std::uint32_t limit;
};

// Once.
struct StartSelection {
  Selection* selection;
  std::int64_t n;
  const double* density;
  WINNOW_HD void operator()(std::int64_t) const { *selection = {dropped_of(n, *density), 0}; }
};

// By chunk: how often each digit comes next after the bits that are known, to counts {chunks, kSelectDigits}.
struct CountDigits {
  const float* score;
  std::int64_t n, chunk_entries;
  int shift;  // of the digit
  const Selection* selection;
  std::int32_t* counts;
  std::uint32_t limit = 0;  // set by loaded()
  WINNOW_HD CountDigits loaded() const {
    CountDigits now = *this;
    now.limit = selection->limit;
    return now;
  }
  WINNOW_HD void operator()(std::int64_t chunk) const {
    std::int32_t* count = counts + chunk * kSelectDigits;
    for (int digit = 0; digit < kSelectDigits; ++digit) count[digit] = 0;
    const std::int64_t first = chunk * chunk_entries, last = first + chunk_entries < n ? first + chunk_entries : n;
    for (std::int64_t i = first; i < last; ++i) {
      const std::uint32_t digits = magnitude_bits(score[i]) >> shift;
      if (digits >> kSelectBits == limit) ++count[digits % kSelectDigits];
    }
  }
};

// Counts of one digit by chunk.
struct LoadDigitCounts {
  static constexpr bool kRowsAreNeighbours = true;
  const std::int32_t* counts;
  WINNOW_HD std::int32_t operator()(std::int64_t digit, std::int64_t chunk) const {
    return counts[chunk * kSelectDigits + digit];
  }
};

// Once: the digit in which the `rest`-th entry in ascending order lies; those below it go.
struct PickDigit {
  const std::int32_t* totals;
  Selection* selection;
  WINNOW_HD void operator()(std::int64_t) const {
    std::int64_t rest = selection->rest;
    std::uint32_t digit = 0;
    while (digit + 1 < kSelectDigits && totals[digit] < rest) rest -= totals[digit++];
    *selection = {rest, selection->limit << kSelectBits | digit};
  }
};

// Once, after the last pass: how many entries equal to the limit lie before each chunk. Many counts are read before the first
// sum is written, since one after the other each would wait for memory.
struct CountEqualBefore {
  const std::int32_t* counts;
  const Selection* selection;
  std::int64_t chunks;
  std::int32_t* before;
  WINNOW_HD void operator()(std::int64_t) const {
    constexpr std::int64_t kTogether = 16;
    const std::int32_t* equal = counts + selection->limit % kSelectDigits;
    std::int32_t sum = 0, count[kTogether] = {};
    for (std::int64_t first = 0; first < chunks; first += kTogether) {
      for (std::int64_t i = 0; i < kTogether; ++i) {
        count[i] = first + i < chunks ? equal[(first + i) * kSelectDigits] : 0;
      }
      for (std::int64_t i = 0; i < kTogether && first + i < chunks; ++i) {
        before[first + i] = sum;
        sum += count[i];
      }
    }
  }
};

// By chunk: 1 above the limit, 0 below it; of those equal to it the first `rest` go.
struct KeepSelected {
  const float* score;
  std::int64_t n, chunk_entries;
  const Selection* selection;
  const std::int32_t* before;
  std::uint8_t* keep;
  Selection now = {};  // set by loaded()
  WINNOW_HD KeepSelected loaded() const { return {score, n, chunk_entries, selection, before, keep, *selection}; }
  WINNOW_HD void operator()(std::int64_t chunk) const {
    const std::int64_t first = chunk * chunk_entries, last = first + chunk_entries < n ? first + chunk_entries : n;
    std::int64_t equal = before[chunk];
    for (std::int64_t i = first; i < last; ++i) {
      const std::uint32_t bits = magnitude_bits(score[i]);
      keep[i] = bits > now.limit || (bits == now.limit && equal >= now.rest) ? 1 : 0;
      equal += bits == now.limit ? 1 : 0;
    }
  }
};

}  // namespace winnow
