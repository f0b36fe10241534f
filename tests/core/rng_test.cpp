#include "kernels/rng.h"

#include <gtest/gtest.h>

#include <set>

namespace winnow {
namespace {

// Random123's known answers for philox4x32-10 ("kat_vectors"): counter words, key words, result
// words. Ours are counter {counter low, counter high, stream, step} and key {seed low, seed high}.
struct KnownAnswer {
  std::uint32_t counter[4], key[2], result[4];
};

TEST(Philox, GivesThePublishedKnownAnswers) {
  const KnownAnswer answers[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const KnownAnswer& known : answers) {
    const RngKey key{(static_cast<std::uint64_t>(known.key[1]) << 32) | known.key[0], known.counter[2],
                     known.counter[3]};
    const RngBlock block = philox(key, (static_cast<std::uint64_t>(known.counter[1]) << 32) | known.counter[0]);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(block.word[i], known.result[i]) << "word " << i;
  }
}

TEST(Philox, StreamNamesAreFnv1a) {
  EXPECT_EQ(stream_id(""), 0x811c9dc5u);
  EXPECT_EQ(stream_id("a"), 0xe40c292cu);
  EXPECT_EQ(stream_id("foobar"), 0xbf9cf968u);
}

TEST(Uniform01, StaysInsideTheOpenInterval) {
  EXPECT_GT(uniform01(0), 0.0f);
  EXPECT_LT(uniform01(0xffffffffu), 1.0f);
  EXPECT_EQ(uniform01(0) + uniform01(0xffffffffu), 1.0f) << "the draws lie symmetric about 1/2";
}

TEST(Uniform01, HasMeanAndVarianceOfTheUniformDistribution) {
  const RngKey key{42, stream_id("test"), 3};
  constexpr int kDraws = 1 << 20;
  double sum = 0, squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double u = uniform_at(key, static_cast<std::uint64_t>(i));
    sum += u;
    squares += u * u;
  }
  const double mean = sum / kDraws;
  EXPECT_NEAR(mean, 0.5, 5 * 0.2887 / 1024);
  EXPECT_NEAR(squares / kDraws - mean * mean, 1.0 / 12, 5e-4);
}

TEST(Normal, HasMomentsOfTheStandardNormal) {
  const RngKey key{7, stream_id("normal"), 0};
  constexpr int kDraws = 1 << 18;
  double moment[5] = {};
  for (int i = 0; i < kDraws; ++i) {
    double power = 1;
    const double z = normal_at(key, static_cast<std::uint64_t>(i));
    for (double& m : moment) m += power / kDraws, power *= z;
  }
  EXPECT_NEAR(moment[1], 0, 0.01);
  EXPECT_NEAR(moment[2], 1, 0.015);
  EXPECT_NEAR(moment[3], 0, 0.04);
  EXPECT_NEAR(moment[4], 3, 0.1);
}

TEST(Below, ReachesEveryValueAndNothingElse) {
  const RngKey key{1, 2, 3};
  std::set<std::uint64_t> seen;
  for (std::uint64_t i = 0; i < 2000; ++i) seen.insert(below(key, i, 37));
  EXPECT_EQ(seen.size(), 37u);
  EXPECT_EQ(*seen.rbegin(), 36u);
}

TEST(Philox, SeedStreamStepAndIndexAllMatter) {
  const RngKey key{11, 12, 13};
  const float base = uniform_at(key, 14);
  EXPECT_NE(base, uniform_at({12, 12, 13}, 14));
  EXPECT_NE(base, uniform_at({11ull | (1ull << 40), 12, 13}, 14));
  EXPECT_NE(base, uniform_at({11, 13, 13}, 14));
  EXPECT_NE(base, uniform_at({11, 12, 14}, 14));
  EXPECT_NE(base, uniform_at(key, 15));
}

}  // namespace
}  // namespace winnow
