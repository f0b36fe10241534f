// log and cos in double with the same bits on every processor and device, for draws that all must agree on (rng.h): the C
// library's and CUDA's differ in their last bits. Sums, products, a quotient and bits in one order, which compilers keep
// (-ffp-contract=off, -fmad=false). Without branches, so that loops over them are vectorised. No state.
//
// tools/winnow.py has the same arithmetic; whoever changes a bit here changes what results with seeded weights stand for.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/portable.h"

namespace winnow {

// first + z * (second + z * (...)).
WINNOW_HD double series(double /*z*/, double last) { return last; }
template <class... Rest>
WINNOW_HD double series(double z, double first, Rest... rest) {
  return first + z * series(z, rest...);
}

WINNOW_HD double double_of(std::uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// Natural logarithm of a positive normal number, to 0.82 units of its last place (of 5,000,000 draws).
//
// x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)), and with s = f / (2 + f)
//   log(1 + f) = 2 artanh(s) = f - f^2/2 + s (f^2/2 + 2 s^2 (1/3 + s^2/5 + s^4/7 + ...)).
// |s| < 0.1716: what is left out behind 2/21 is below 1e-18 of the whole. ln 2 is a sum, so that k times its first part is
// exact.
WINNOW_HD double portable_log(double x) {
  constexpr std::uint64_t kOne = 0x3ff0000000000000u, kRootOfHalf = 0x3fe6a09e00000000u;
  std::uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  bits += kOne - kRootOfHalf;
  // A whole number below 2^52 becomes a double by its bits.
  const double k = double_of((bits >> 52) | 0x4330000000000000u) - (4503599627370496.0 + 1023.0);
  const double f = double_of((bits & 0x000fffffffffffffu) + kRootOfHalf) - 1.0;
  const double s = f / (2.0 + f), z = s * s, half = 0.5 * f * f;
  const double rest =
      z * series(z, 2.0 / 3, 2.0 / 5, 2.0 / 7, 2.0 / 9, 2.0 / 11, 2.0 / 13, 2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21);
  return k * 0x1.62e42fefa2000p-1 + (f - (half - (s * (half + rest) + k * 0x1.9ef35793c7673p-41)));
}

// The cosine of `quarters` quarter turns, from 0 to 2^30, to 1.06 units of its last place (of 10,000,000 draws). What is left
// of the nearest whole number is exact, and in radians at most pi / 4. Numbers are those of Taylor's series, (pi / 2)^n / n!;
// what is left out is below 2e-18 of the whole. For numbers of up to 31 bits behind the point pi / 2 is a sum like ln 2 above.
WINNOW_HD double cos_of_quarters(double quarters) {
  const auto whole = static_cast<std::int32_t>(quarters + 0.5);  // NOLINT(bugprone-incorrect-roundings): exact
  const double r = quarters - static_cast<double>(whole), z = r * r;
  const double below_one = z * 1.2337005501361697, near = 1.0 - below_one;
  const double cosine_rest =
      series(z, 0.25366950790104803, -0.02086348076335296, 9.192602748394266e-4, -2.5202042373060607e-5,
             4.710874778818172e-7, -6.386603083791852e-9, 6.565963114979473e-11);
  const double cosine = near + (((1.0 - near) - below_one) + z * z * cosine_rest);
  const double sine_rest =
      series(z, -0.6459640975062463, 0.07969262624616705, -0.004681754135318688, 1.6044118478735983e-4,
             -3.598843235212085e-6, 5.692172921967927e-8, -6.688035109811468e-10, 6.0669357311061955e-12);
  const double sine = r * 0x1.921fbp+0 + (r * 0x1.5110b4611a626p-22 + r * z * sine_rest);
  const double value = (whole & 1) != 0 ? sine : cosine;
  return ((whole + 1) & 2) != 0 ? -value : value;
}

}  // namespace winnow
