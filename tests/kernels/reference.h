// Naive double-precision layers that the fast kernels are compared with, and random operands.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <vector>

#include "kernels/cpu/layers.h"
#include "kernels/portable.h"
#include "kernels/rng.h"

namespace winnow::test {

using Doubles = std::vector<double>;

// Uniform in [-1, 1), exact in `type`.
inline Doubles random_values(std::size_t count, std::uint64_t seed, DType type = DType::F32) {
  Doubles values(count);
  for (std::size_t i = 0; i < count; ++i) {
    const float v = 2 * uniform_at({seed, stream_id("test"), 0}, i) - 1;
    values[i] = static_cast<double>(type == DType::BF16 ? to_float(from_float<bf16>(v)) : v);
  }
  return values;
}

template <class T>
std::vector<T> as(const Doubles& values) {
  std::vector<T> result;
  for (const double v : values) result.push_back(from_float<T>(static_cast<float>(v)));
  return result;
}

// Relative to the largest expected value, so that sums which cancel do not count as errors.
template <class T>
void expect_close(const std::vector<T>& got, const Doubles& want, double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  double scale = 1e-30;
  for (const double w : want) scale = std::max(scale, std::abs(w));
  for (std::size_t i = 0; i < want.size(); ++i) {
    ASSERT_NEAR(static_cast<double>(to_float(got[i])), want[i], tolerance * scale) << "element " << i;
  }
}

// Calls body(x, w, y, image's channel out) with the flat positions of every multiplication of the convolution.
template <class Body>
void for_each_product(const ConvShape& s, const Body& body) {
  const auto in_group = s.in / s.groups, out_group = s.out / s.groups;
  for (std::int64_t n = 0; n < s.batch; ++n)
    for (std::int64_t i = 0; i < s.out_height(); ++i)
      for (std::int64_t j = 0; j < s.out_width(); ++j)
        for (std::int64_t o = 0; o < s.out; ++o)
          for (std::int64_t c = 0; c < in_group; ++c)
            for (std::int64_t a = 0; a < s.kernel_h; ++a)
              for (std::int64_t b = 0; b < s.kernel_w; ++b) {
                const auto h = i * s.stride - s.pad + a, w = j * s.stride - s.pad + b;
                if (h < 0 || h >= s.height || w < 0 || w >= s.width) continue;
                const auto channel = o / out_group * in_group + c;
                body(static_cast<std::size_t>(((n * s.height + h) * s.width + w) * s.in + channel),
                     static_cast<std::size_t>(((o * in_group + c) * s.kernel_h + a) * s.kernel_w + b),
                     static_cast<std::size_t>(((n * s.out_height() + i) * s.out_width() + j) * s.out + o));
              }
}

}  // namespace winnow::test
