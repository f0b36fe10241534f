// Our log and cosine beside the C library's in long double, and the draws that are made of them.
#include "kernels/portable_math.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/rng.h"

namespace winnow {
namespace {

constexpr RngKey kKey{12345, stream_id("init/conv1.weight"), 0};

// The numbers in (0, 1) that normal_at takes: of some words at the edges, and of many that are drawn.
std::vector<double> numbers(std::uint64_t drawn) {
  std::vector<double> all;
  for (const std::uint64_t word :
       {0ull, 1ull, 0x1fffffffull, 0x20000000ull, 0x20000001ull, 0x3fffffffull, 0x40000000ull, 0x5fffffffull,
        0x60000000ull, 0x7fffffffull, 0x80000000ull, 0x9fffffffull, 0xb504f333ull, 0xb504f334ull, 0xbfffffffull,
        0xc0000000ull, 0xfffffffeull, 0xffffffffull}) {
    all.push_back((static_cast<double>(word) + 0.5) / 4294967296.0);
  }
  for (std::uint64_t i = 0; i < drawn; ++i) {
    for (const std::uint32_t word : philox(kKey, i).word) {
      all.push_back((static_cast<double>(word) + 0.5) / 4294967296.0);
      all.push_back((static_cast<double>(word >> word % 32) + 0.5) / 4294967296.0);  // small ones too
    }
  }
  return all;
}

// How far `found` is from `exact`, in units of the last place of that.
double off(double found, long double exact) {
  int exponent = 0;
  std::frexp(static_cast<double>(exact), &exponent);
  return static_cast<double>(std::fabs(static_cast<long double>(found) - exact) / std::ldexp(1.0L, exponent - 53));
}

TEST(PortableMath, TheLogIsWithinOneUnitOfTheLastPlace) {
  double worst = 0;
  for (const double x : numbers(100000)) {
    for (const double at : {x, 1 - x, 1 / x, 1e300 * x, 1e-290 * x}) {
      worst = std::max(worst, off(portable_log(at), std::log(static_cast<long double>(at))));
    }
  }
  EXPECT_LT(worst, 1);
  EXPECT_EQ(portable_log(1), 0);
  EXPECT_EQ(portable_log(2), std::log(2.0));
}

TEST(PortableMath, CosineAndSineAreWithinLittleMoreThanOneUnitOfTheLastPlace) {
  const long double quarter = std::acos(-1.0L) / 2;
  double worst = 0;
  for (const double x : numbers(100000)) {
    // Reduced exactly, as the library cannot do with an angle that was rounded before.
    const auto whole = static_cast<int>(std::lround(4 * x));
    const long double angle = (4 * static_cast<long double>(x) - whole) * quarter;
    const long double c = std::cos(angle), s = std::sin(angle);
    const long double cosines[4] = {c, -s, -c, s};
    for (int turn = 0; turn < 5; ++turn) {
      worst = std::max(worst, off(cos_of_quarters(4 * x + turn), cosines[(whole + turn) % 4]));
    }
  }
  EXPECT_LT(worst, 1.1);
  const double exact[] = {1, 0, -1, 0, 1};
  for (int whole = 0; whole < 5; ++whole) EXPECT_EQ(cos_of_quarters(whole), exact[whole]) << whole;
}

// As results were drawn before there was a log and a cosine of our own; the angle is rounded there.
float by_the_library(const RngKey& key, std::uint64_t i) {
  const RngBlock block = philox(key, i / 2);
  const double u = (static_cast<double>(block.word[0]) + 0.5) / 4294967296.0;
  const double v = (static_cast<double>(block.word[1]) + 0.5) / 4294967296.0;
  const double radius = std::sqrt(-2.0 * std::log(u)), angle = 6.283185307179586476925 * v;
  return static_cast<float>(radius * (i % 2 == 0 ? std::cos(angle) : std::sin(angle)));
}

TEST(Normal, IsThatOfTheCLibraryButForRareRoundings) {
  int differ = 0;
  for (std::uint64_t i = 0; i < 2000000; ++i) {
    const float own = normal_at(kKey, i), library = by_the_library(kKey, i);
    if (own == library) continue;
    ++differ;
    EXPECT_TRUE(std::nextafter(own, library) == library) << i << ": " << own << ", " << library;
  }
  EXPECT_LE(differ, 2);
}

// Results hold weights that are drawn again when they are read, so no bit of these may ever change.
TEST(Normal, HasTheSameBitsForEver) {
  std::uint32_t hash = 2166136261u;
  for (std::uint64_t i = 0; i < 100000; ++i) {
    const float value = normal_at(kKey, i);
    std::uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    hash = (hash ^ bits) * 16777619u;
  }
  EXPECT_EQ(hash, 2901712539u);
}

}  // namespace
}  // namespace winnow
