// What goes into a vendor's layer and comes out of it: every weight and channel in its place, zeros between.
#include "kernels/functors/pack_weights.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <vector>

#include "kernels/for_each.h"
#include "kernels/functors/activations.h"
#include "kernels/functors/add_bias.h"
#include "kernels/rng.h"

namespace winnow {
namespace {

std::vector<float> normals(std::int64_t count, std::uint32_t stream) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = normal_at({3, stream, 0}, i);
  return values;
}

TEST(PackWeights, EveryWeightHasItsPlaceAndTheRestIsZero) {
  const WeightExtents extents{5, 3, 6, 8, 4};
  const std::vector<float> weights = normals(extents.count(), 1);
  std::vector<float> packed(static_cast<std::size_t>(extents.packed_count()), 7.0f), back(weights.size());
  for_each(Exec{}, extents.packed_count(), PackWeights<float>{extents, weights.data(), packed.data()});
  for (std::int64_t o = 0; o < extents.packed_out; ++o) {
    for (std::int64_t tap = 0; tap < extents.taps; ++tap) {
      for (std::int64_t c = 0; c < extents.packed_in; ++c) {
        const bool real = o < extents.out && c < extents.in;
        const auto from = static_cast<std::size_t>((o * extents.in + c) * extents.taps + tap);
        const auto at = static_cast<std::size_t>((o * extents.taps + tap) * extents.packed_in + c);
        EXPECT_EQ(packed[at], real ? weights[from] : 0.0f) << o << ' ' << tap << ' ' << c;
      }
    }
  }
  for_each(Exec{}, extents.count(), UnpackWeights<float>{extents, packed.data(), back.data()});
  EXPECT_EQ(back, weights);
}

TEST(PackWeights, RoundsOnceToBfloat16) {
  const WeightExtents extents{4, 2, 9, 4, 2};
  const std::vector<float> weights = normals(extents.count(), 2);
  std::vector<bf16> packed(weights.size());
  std::vector<float> back(weights.size());
  for_each(Exec{}, extents.packed_count(), PackWeights<bf16>{extents, weights.data(), packed.data()});
  for_each(Exec{}, extents.count(), UnpackWeights<bf16>{extents, packed.data(), back.data()});
  for (std::size_t i = 0; i < weights.size(); ++i) EXPECT_EQ(back[i], to_float(from_float<bf16>(weights[i])));
}

TEST(FitChannels, PadsWithZerosAndCutsThemOff) {
  constexpr std::int64_t kRows = 11, kFew = 3, kMany = 8;
  const std::vector<float> x = normals(kRows * kFew, 3);
  std::vector<float> wide(kRows * kMany, 7.0f), back(x.size());
  for_each(Exec{}, kRows * kMany, FitChannels<float>{x.data(), wide.data(), kFew, kMany});
  for (std::size_t i = 0; i < wide.size(); ++i) {
    EXPECT_EQ(wide[i], i % kMany < kFew ? x[i / kMany * kFew + i % kMany] : 0.0f) << i;
  }
  for_each(Exec{}, kRows * kFew, FitChannels<float>{wide.data(), back.data(), kMany, kFew});
  EXPECT_EQ(back, x);
}

TEST(FitChannels, RoundsOnTheWay) {
  constexpr std::int64_t kRows = 5, kFew = 3, kMany = 8;
  std::vector<float> x = normals(kRows * kFew, 7);
  x[1] = std::numeric_limits<float>::infinity();
  std::vector<bf16> wide(kRows * kMany, from_float<bf16>(7.0f));
  for_each(Exec{}, kRows * kMany, FitChannels<float, bf16>{x.data(), wide.data(), kFew, kMany});
  for (std::size_t i = 0; i < wide.size(); ++i) {
    const float expected = i % kMany < kFew ? x[i / kMany * kFew + i % kMany] : 0.0f;
    EXPECT_EQ(wide[i].bits, from_float<bf16>(expected).bits) << i;
  }
}

TEST(AddBias, GoesToEveryRow) {
  constexpr std::int64_t kRows = 5, kOut = 3;
  const std::vector<float> before = normals(kRows * kOut, 4), bias = normals(kOut, 5);
  std::vector<float> y = before;
  for_each(Exec{}, kRows * kOut, AddBias<float>{bias.data(), y.data(), y.data(), kOut});
  for (std::size_t i = 0; i < y.size(); ++i) EXPECT_EQ(y[i], before[i] + bias[i % kOut]);
}

// In both types; NaN, infinities and sums that are zero or round to it among the numbers.
TEST(AddBias, WithAReluGivesTheBitsOfOneAfterTheOther) {
  constexpr std::int64_t kOut = 3;
  std::vector<float> numbers = normals(300 * kOut, 6);
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const float special : {nan, -nan, infinity, -infinity, 0.0f, -0.0f, 0.5f, -1e-40f}) numbers.push_back(special);
  while (numbers.size() % kOut != 0) numbers.push_back(-0.5f);
  const std::vector<float> bias = {-0.5f, 0.25f, 0.0f};
  const auto test = [&]<class T>() {
    const auto n = static_cast<std::int64_t>(numbers.size());
    std::vector<T> apart(numbers.size()), together;
    for (std::size_t i = 0; i < apart.size(); ++i) apart[i] = from_float<T>(numbers[i]);
    together = apart;
    for_each(Exec{}, n, AddBias<T>{bias.data(), apart.data(), apart.data(), kOut});
    for_each(Exec{}, n, Relu<T>{apart.data(), apart.data()});
    for_each(Exec{}, n, AddBiasRelu<T>{{bias.data(), together.data(), together.data(), kOut}});
    EXPECT_EQ(std::memcmp(apart.data(), together.data(), sizeof(T) * apart.size()), 0);
  };
  test.operator()<float>();
  test.operator()<bf16>();
}

}  // namespace
}  // namespace winnow
