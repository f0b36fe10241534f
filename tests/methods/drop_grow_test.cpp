#include "experiments/methods/toolkit/drop_grow.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"

namespace winnow {
namespace {

// The update of RigL and SET by magnitude.
Bits drop_grow(const std::vector<float>& weights, const Bits& mask, const std::vector<float>& growth,
               std::int64_t count) {
  return grow(drop_smallest(weights, mask, count, "w"), growth, count, "w");
}

TEST(DropGrow, RiglUpdateMatchesSpecificationOracle) {
  const std::vector<float> w{.5f, -.1f, .05f, 0, 0, .3f, 0, -.2f};
  const Bits mask{1, 1, 1, 0, 0, 1, 0, 1};
  std::vector<float> growth{.1f, -.9f, .2f, .4f, -.8f, .3f, .6f, .1f};
  for (float& g : growth) g = std::fabs(g);
  EXPECT_EQ(rigl_count(count_ones(mask), .4), 2);
  EXPECT_EQ(drop_grow(w, mask, growth, 2), (Bits{1, 1, 0, 0, 1, 1, 0, 1}));
}

TEST(DropGrow, NothingMovesWithoutDrops) {
  const Bits mask{1, 0, 1};
  EXPECT_EQ(drop_grow({1, 0, 0}, mask, {9, 9, 9}, 0), mask);
}

TEST(DropGrow, AnActiveZeroIsKeptBeforeAnInactivePosition) {
  const Bits mask{0, 1, 1};
  EXPECT_EQ(drop_grow({0, 0, 2}, mask, {1, 0, 0}, 0), mask);
}

TEST(DropGrow, EachSignLosesItsShareClosestToZero) {
  //                         +    +    +    -     -     -     -    empty  zero
  const std::vector<float> w{.1f, .9f, .2f, -.3f, -.8f, -.5f, -.6f, 7, 0};
  const Bits mask{1, 1, 1, 1, 1, 1, 1, 0, 1};
  EXPECT_EQ(drop_by_sign(w, mask, .3, "w"), (Bits{0, 1, 1, 0, 1, 0, 1, 0, 0}));
  EXPECT_EQ(drop_by_sign(w, mask, 0, "w"), (Bits{1, 1, 1, 1, 1, 1, 1, 0, 0}));
  // By magnitude alone the large negative weights would all stay.
  EXPECT_EQ(drop_smallest(w, mask, 4, "w"), (Bits{0, 1, 0, 0, 1, 1, 1, 0, 0}));
  EXPECT_THROW(drop_by_sign(std::vector<float>{1, std::nanf("")}, Bits{1, 1}, .3, "w"), Error);
}

TEST(DropGrow, CosineMatchesSpecificationOracle) {
  const std::vector<std::pair<std::int64_t, double>> oracle = {{0, .3},          {100, .299988}, {6250, .256066},
                                                               {8333, .225005},  {12500, .15},   {18750, .043934},
                                                               {24900, .000012}, {25000, 0}};
  for (const auto& [t, fraction] : oracle) {
    EXPECT_NEAR(cosine_fraction(.3, t, 25000), fraction, 5e-7) << t;
  }
  const std::vector<std::pair<std::int64_t, std::int64_t>> counts = {
      {0, 300}, {6250, 256}, {12500, 150}, {18750, 43}, {25000, 0}};
  for (const auto& [t, count] : counts) {
    EXPECT_EQ(rigl_count(1000, cosine_fraction(.3, t, 25000)), count) << t;
  }
}

}  // namespace
}  // namespace winnow
