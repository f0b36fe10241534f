// Radix selection by chunks: the entries it keeps are those of the oracle by sorting, for every length of a chunk, and no chunk
// touches what belongs to another.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/functors/top_k.h"
#include "kernels/rng.h"

namespace winnow::test {
namespace {

constexpr std::uint8_t kUntouched = 7;

// As score_mask queues it, one functor after the other. `keep` has an entry more than there are scores.
std::vector<std::uint8_t> selected(const std::vector<float>& score, double density, std::int64_t chunk_entries) {
  const auto n = static_cast<std::int64_t>(score.size()), chunks = (n + chunk_entries - 1) / chunk_entries;
  std::vector<std::int32_t> counts(static_cast<std::size_t>(chunks * kSelectDigits)), totals(kSelectDigits),
      before(static_cast<std::size_t>(chunks));
  Selection selection{};
  StartSelection{&selection, n, &density}(0);
  for (int pass = kSelectPasses - 1; pass >= 0; --pass) {
    const CountDigits count =
        CountDigits{score.data(), n, chunk_entries, pass * kSelectBits, &selection, counts.data()}.loaded();
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk) count(chunk);
    for (std::int64_t digit = 0; digit < kSelectDigits; ++digit) {
      std::int32_t sum = 0;
      for (std::int64_t chunk = 0; chunk < chunks; ++chunk) sum += LoadDigitCounts{counts.data()}(digit, chunk);
      totals[static_cast<std::size_t>(digit)] = sum;
    }
    PickDigit{totals.data(), &selection}(0);
  }
  CountEqualBefore{counts.data(), &selection, chunks, before.data()}(0);
  std::vector<std::uint8_t> keep(score.size() + 1, kUntouched);
  const KeepSelected choose =
      KeepSelected{score.data(), n, chunk_entries, &selection, before.data(), keep.data()}.loaded();
  // Backwards: what a chunk writes behind its end is not written over by its owner.
  for (std::int64_t chunk = chunks - 1; chunk >= 0; --chunk) choose(chunk);
  return keep;
}

TEST(TopKByChunks, KeepsWhatSortingKeepsWhateverTheLengthOfAChunk) {
  std::vector<float> score(53);
  for (std::size_t i = 0; i < score.size(); ++i) score[i] = normal_at({3, 1, 4}, i);
  for (const std::size_t same : {5u, 17u, 18u, 40u, 52u}) score[same] = same % 2 == 0 ? 0.25f : -0.25f;  // ties
  std::vector<std::size_t> order(score.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return std::abs(score[i]); });
  for (const double density : {0.0, 0.1, 0.4, 0.75, 0.8, 0.85, 0.9, 1.0}) {
    std::vector<std::uint8_t> expected(score.size(), 1);
    const auto dropped = static_cast<std::size_t>(dropped_of(static_cast<std::int64_t>(score.size()), density));
    for (std::size_t i = 0; i < dropped; ++i) expected[order[i]] = 0;
    expected.push_back(kUntouched);
    for (const std::int64_t chunk_entries : {1, 2, 7, 16, 52, 53, 64}) {
      EXPECT_EQ(selected(score, density, chunk_entries), expected) << density << " in chunks of " << chunk_entries;
    }
  }
}

}  // namespace
}  // namespace winnow::test
