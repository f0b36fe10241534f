// Pooling and shortcut layers against naive loops, forward and backward.
#include "kernels/cpu/pool.h"

#include <ostream>

#include "kernels/for_each.h"
#include "kernels/functors/layout.h"
#include "tests/kernels/reference.h"

namespace winnow::test {
namespace {

// Calls body(x, y, place) for every element of every window.
template <class Body>
void for_each_window(const PoolShape& s, const Body& body) {
  for (std::int64_t n = 0; n < s.batch; ++n)
    for (std::int64_t i = 0; i < s.out_height(); ++i)
      for (std::int64_t j = 0; j < s.out_width(); ++j)
        for (std::int64_t c = 0; c < s.channels; ++c)
          for (std::int64_t a = 0; a < s.kernel_h; ++a)
            for (std::int64_t b = 0; b < s.kernel_w; ++b) {
              const auto h = i * s.stride - s.pad + a, w = j * s.stride - s.pad + b;
              if (h < 0 || h >= s.height || w < 0 || w >= s.width) continue;
              const auto y = ((n * s.out_height() + i) * s.out_width() + j) * s.channels + c;
              body(static_cast<std::size_t>(((n * s.height + h) * s.width + w) * s.channels + c),
                   static_cast<std::size_t>(y), static_cast<std::uint8_t>(a * s.kernel_w + b));
            }
}

const PoolShape kShapes[] = {
    {2, 6, 4, 16, 2, 2, 2, 0},  // tiles the image
    {2, 7, 5, 20, 2, 2, 2, 0},  // a row and a column are left over
    {2, 7, 9, 35, 3, 3, 2, 1},  // windows overlap and reach into the padding
    {1, 9, 9, 3, 3, 3, 3, 0},  {2, 8, 8, 5, 2, 2, 3, 0}, {3, 4, 5, 20, 4, 5, 1, 0},
};

template <class T>
void check_max(const PoolShape& s, int threads) {
  const DType type = std::is_same_v<T, bf16> ? DType::BF16 : DType::F32;
  const auto nx = static_cast<std::size_t>(s.batch * s.height * s.width * s.channels);
  const auto ny = static_cast<std::size_t>(s.batch * s.out_height() * s.out_width() * s.channels);
  const Doubles x = random_values(nx, 1, type), dy = random_values(ny, 2, type);
  Doubles y(ny, -1e9), dx(nx);
  std::vector<std::size_t> best(ny);
  for_each_window(s, [&](std::size_t ix, std::size_t iy, std::uint8_t) {
    if (x[ix] > y[iy]) {
      y[iy] = x[ix];
      best[iy] = ix;
    }
  });
  for (std::size_t i = 0; i < ny; ++i) dx[best[i]] += dy[i];
  const auto tx = as<T>(x), tdy = as<T>(dy);
  std::vector<T> out(ny), grad(nx);
  std::vector<std::uint8_t> winner(ny);
  cpu::max_pool_forward(s, tx.data(), out.data(), winner.data(), threads);
  expect_close(out, y, 0);
  cpu::max_pool_backward(s, tdy.data(), winner.data(), grad.data(), threads);
  expect_close(grad, dx, type == DType::BF16 ? 1e-2 : 1e-6);
}

template <class T>
void check_avg(const PoolShape& s, int threads) {
  const DType type = std::is_same_v<T, bf16> ? DType::BF16 : DType::F32;
  const double tolerance = type == DType::BF16 ? 1e-2 : 1e-6;
  const auto nx = static_cast<std::size_t>(s.batch * s.height * s.width * s.channels);
  const auto ny = static_cast<std::size_t>(s.batch * s.out_height() * s.out_width() * s.channels);
  const Doubles x = random_values(nx, 1, type), dy = random_values(ny, 2, type);
  Doubles y(ny), dx(nx);
  const double share = 1.0 / static_cast<double>(s.kernel_h * s.kernel_w);
  for_each_window(s, [&](std::size_t ix, std::size_t iy, std::uint8_t) {
    y[iy] += x[ix] * share;
    dx[ix] += dy[iy] * share;
  });
  const auto tx = as<T>(x), tdy = as<T>(dy);
  std::vector<T> out(ny), grad(nx);
  cpu::avg_pool_forward(s, tx.data(), out.data(), threads);
  expect_close(out, y, tolerance);
  cpu::avg_pool_backward(s, tdy.data(), grad.data(), threads);
  expect_close(grad, dx, tolerance);
}

class Pool : public ::testing::TestWithParam<PoolShape> {};
TEST_P(Pool, MaxMatchesNaiveLoops) { check_max<float>(GetParam(), 1); }
TEST_P(Pool, MaxMatchesNaiveLoopsInBf16) { check_max<bf16>(GetParam(), 2); }
TEST_P(Pool, AverageMatchesNaiveLoops) { check_avg<float>(GetParam(), 1); }
TEST_P(Pool, AverageMatchesNaiveLoopsInBf16) { check_avg<bf16>(GetParam(), 2); }
INSTANTIATE_TEST_SUITE_P(Layers, Pool, ::testing::ValuesIn(kShapes));

TEST(Pool, ANanIsSeen) {
  const PoolShape s{1, 2, 2, 1, 2, 2, 2, 0};
  const float x[] = {1, std::nanf(""), 2, 3};
  float y = 0;
  std::uint8_t winner = 0;
  cpu::max_pool_forward(s, x, &y, &winner, 1);
  EXPECT_TRUE(std::isnan(y));
  EXPECT_EQ(winner, 1);
}

// PyTorch's rule: the first place inside the image wins, so that the gradient is not lost in the padding.
TEST(Pool, AWindowOfMinusInfinityIsWonInsideTheImage) {
  const PoolShape s{1, 2, 2, 1, 3, 3, 2, 1};
  const float x[] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY}, dy = 5;
  float y = 0, dx[4];
  std::uint8_t winner = 0;
  cpu::max_pool_forward(s, x, &y, &winner, 1);
  EXPECT_EQ(y, -INFINITY);
  EXPECT_EQ(winner, 4);  // the middle of the window is pixel 0
  cpu::max_pool_backward(s, &dy, &winner, dx, 1);
  EXPECT_EQ(dx[0], 5);
}

TEST(Shortcut, KeepsEveryOtherPixelWithItsChannelsInTheMiddle) {
  const ShortcutShape s{1, 3, 2, 2, 2, 4, 1};
  const std::vector<float> x{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  std::vector<float> y(8, -1), dx(12, -1);
  for_rows({}, 2, ShortcutLine<float>{s, x.data(), y.data()});
  EXPECT_EQ(y, (std::vector<float>{0, 1, 2, 0, 0, 9, 10, 0}));
  for_rows({}, 3, ShortcutBackwardLine<float>{s, y.data(), dx.data()});
  EXPECT_EQ(dx, (std::vector<float>{1, 2, 0, 0, 0, 0, 0, 0, 9, 10, 0, 0}));
}

TEST(Transpose, IsItsOwnInverseWithTheExtentsSwapped) {
  const std::vector<float> in{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  std::vector<float> out(12), back(12);
  for_rows({}, 2 * 2, TransposeRow<float>{in.data(), out.data(), 3, 2});
  EXPECT_EQ(out, (std::vector<float>{1, 3, 5, 2, 4, 6, 7, 9, 11, 8, 10, 12}));
  for_rows({.threads = 2}, 2 * 3, TransposeRow<float>{out.data(), back.data(), 2, 3});
  EXPECT_EQ(back, in);
}

}  // namespace
}  // namespace winnow::test
