#include "core/tensor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"

namespace winnow {
namespace {

TEST(Shape, CountsAndPrints) {
  EXPECT_EQ((Shape{128, 32, 32, 3}).numel(), 128 * 32 * 32 * 3);
  EXPECT_EQ((Shape{128, 32, 32, 3}).text(), "128x32x32x3");
  EXPECT_EQ(Shape{}.numel(), 1);
  EXPECT_EQ(Shape{}.text(), "scalar");
  EXPECT_EQ((Shape{4, 0}).numel(), 0);
  EXPECT_EQ((Shape{4, 7})[-1], 7);
}

TEST(Shape, ComparesExtentsAndRank) {
  EXPECT_EQ((Shape{2, 3}), (Shape{2, 3}));
  EXPECT_NE((Shape{2, 3}), (Shape{3, 2}));
  EXPECT_NE((Shape{2}), (Shape{2, 1}));
}

TEST(Shape, RefusesMoreAxesThanItHolds) { EXPECT_THROW((Shape{1, 1, 1, 1, 1, 1, 1}), Error); }

TEST(Tensor, IsAlignedAndZeroAtBirth) {
  for (const std::int64_t n : {0, 1, 17, 1000}) {
    const Tensor tensor(DType::BF16, {n});
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.view().data) % 64, 0u);
    const auto bits = tensor.span<std::uint16_t>();
    EXPECT_TRUE(std::all_of(bits.begin(), bits.end(), [](auto b) { return b == 0; }));
  }
}

TEST(Tensor, CloneHasItsOwnMemory) {
  Tensor a(DType::F32, {3});
  a.span<float>()[1] = 5;
  const Tensor b = a.clone();
  a.span<float>()[1] = 6;
  EXPECT_EQ(b.span<float>()[1], 5);
}

TEST(Bf16, RoundsToNearestEven) {
  const auto round = [](float value) { return to_float(from_float<bf16>(value)); };
  EXPECT_EQ(round(1.0f), 1.0f);
  EXPECT_EQ(round(1.0f + 1.0f / 256), 1.0f) << "a tie goes to the even neighbour below";
  EXPECT_EQ(round(1.0f + 3.0f / 256), 1.0f + 4.0f / 256) << "a tie goes to the even neighbour above";
  EXPECT_EQ(round(1.0f + 1.1f / 256), 1.0f + 2.0f / 256);
  EXPECT_EQ(round(-1.0f - 1.1f / 256), -1.0f - 2.0f / 256);
  EXPECT_EQ(round(std::numeric_limits<float>::max()), std::numeric_limits<float>::infinity());
  EXPECT_EQ(round(std::numeric_limits<float>::infinity()), std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(round(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_TRUE(std::signbit(round(-0.0f)));
}

TEST(Bf16, EveryFiniteValueSurvivesTheRoundTrip) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const bf16 value{static_cast<std::uint16_t>(bits)};
    if (std::isnan(to_float(value))) continue;
    ASSERT_EQ(from_float<bf16>(to_float(value)).bits, value.bits);
  }
}

}  // namespace
}  // namespace winnow
