// Convolution and linear layers against naive loops in double precision, in all three directions.
#include <algorithm>
#include <ostream>
#include <string>
#include <utility>

#include "kernels/cpu/contraction.h"
#include "tests/kernels/reference.h"

namespace winnow::test {
namespace {

// A linear layer is a convolution of images of one pixel.
ConvShape as_conv(const LinearShape& s) { return {s.rows, 1, 1, s.in, s.out, 1, 1, 1, 0, 1, s.dtype, s.bias}; }

template <class T, class LayerShape>
void check(const LayerShape& layer, const ConvShape& s, int threads) {
  const DType type = s.dtype;
  const double tolerance = type == DType::BF16 ? 2e-2 : 1e-5;
  const auto size = [](auto... extents) { return static_cast<std::size_t>((extents * ...)); };
  const std::size_t nx = size(s.batch, s.height, s.width, s.in), nb = size(s.out),
                    nw = size(s.out, s.in / s.groups, s.kernel_h, s.kernel_w),
                    ny = size(s.batch, s.out_height(), s.out_width(), s.out);
  const Doubles x = random_values(nx, 1, type), w = random_values(nw, 2, type), b = random_values(nb, 3),
                dy = random_values(ny, 4, type);
  Doubles y(ny), dx(nx), dw(nw), db(nb);
  for (std::size_t i = 0; i < ny; ++i) {
    y[i] = s.bias ? b[i % nb] : 0;
    db[i % nb] += dy[i];
  }
  for_each_product(s, [&](std::size_t ix, std::size_t iw, std::size_t iy) {
    y[iy] += x[ix] * w[iw];
    dx[ix] += dy[iy] * w[iw];
    dw[iw] += x[ix] * dy[iy];
  });
  auto tx = as<T>(x), ty = as<T>(dy);
  auto tw = as<float>(w), tb = as<float>(b);
  std::vector<T> out_y(ny), out_dx(nx);
  std::vector<float> out_dw(nw), out_db(nb);
  // Every way of computing it, and the one that is chosen.
  const auto run = [&](Direction direction, const LayerBuffers& buffers, const auto& expect) {
    auto ways = cpu::every_layer(layer, direction, threads);
    ways.push_back(cpu::make_layer(layer, direction, threads));
    for (const auto& way : ways) {
      SCOPED_TRACE(way->implementation());
      std::vector<std::byte> scratch(way->scratch_bytes() + 64, std::byte{0xff});  // all NaN
      const auto address = reinterpret_cast<std::uintptr_t>(scratch.data());
      for (int repeat = 0; repeat < 2; ++repeat) {  // the second run finds the scratch of the first
        way->run(buffers, {.scratch = scratch.data() + (64 - address % 64) % 64});
      }
      expect();
    }
  };
  const auto forget = [](auto& values) {
    std::ranges::fill(values, typename std::decay_t<decltype(values)>::value_type{});
  };
  run(Direction::Forward, {tx.data(), tw.data(), s.bias ? tb.data() : nullptr, out_y.data()}, [&] {
    expect_close(out_y, y, tolerance);
    forget(out_y);
  });
  run(Direction::BackwardData, {out_dx.data(), tw.data(), nullptr, ty.data()}, [&] {
    expect_close(out_dx, dx, tolerance);
    forget(out_dx);
  });
  run(Direction::BackwardWeights, {tx.data(), out_dw.data(), s.bias ? out_db.data() : nullptr, ty.data()}, [&] {
    expect_close(out_dw, dw, tolerance);
    if (s.bias) expect_close(out_db, db, tolerance);
    forget(out_dw);
    forget(out_db);
  });
}

const ConvShape kConvs[] = {
    {2, 9, 9, 3, 16, 3, 3, 1, 1, 1, DType::F32, false},
    {2, 8, 8, 16, 32, 3, 3, 2, 1, 1, DType::F32, false},
    {2, 7, 7, 16, 16, 3, 3, 1, 1, 1, DType::F32, true},
    {3, 8, 8, 16, 32, 1, 1, 2, 0, 1, DType::F32, false},
    {2, 12, 12, 1, 20, 5, 5, 1, 0, 1, DType::F32, true},
    {2, 12, 12, 20, 50, 5, 5, 1, 0, 1, DType::F32, true},
    {3, 9, 7, 5, 7, 3, 3, 2, 1, 1, DType::F32, true},
    {2, 6, 6, 8, 12, 3, 3, 1, 1, 4, DType::F32, true},
    {2, 4, 6, 64, 80, 3, 3, 1, 1, 1, DType::F32, false},  // gradient of x as a forward pass
    {2, 6, 5, 16, 16, 3, 3, 1, 1, 1, DType::F32, false},  // forward pass as a gradient
    {2, 5, 4, 80, 64, 3, 3, 1, 0, 1, DType::F32, true},
    {32, 2, 2, 128, 130, 3, 3, 1, 1, 1, DType::F32, false},  // weight gradient by kernel position
    {32, 3, 2, 130, 128, 3, 3, 2, 1, 1, DType::F32, false},
    {1, 5, 5, 64, 64, 3, 3, 1, 1, 1, DType::F32, false},
    {3, 13, 14, 6, 22, 5, 3, 1, 0, 1, DType::F32, true},   // a kernel that is not square
    {2, 11, 10, 7, 90, 3, 3, 3, 2, 1, DType::F32, true},   // pixels that no patch covers
    {2, 30, 29, 2, 33, 3, 3, 1, 1, 1, DType::F32, false},  // several tiles of rows
    {3, 7, 6, 24, 35, 3, 3, 1, 1, 1, DType::F32, true},    // a few columns by dot products
    {3, 7, 6, 24, 17, 3, 3, 2, 0, 1, DType::F32, false},
    {40, 10, 10, 48, 34, 3, 3, 1, 1, 1, DType::F32, false},  // several blocks of images
};

class Conv : public ::testing::TestWithParam<ConvShape> {};
TEST_P(Conv, MatchesNaiveLoops) { check<float>(GetParam(), GetParam(), 1); }
TEST_P(Conv, MatchesNaiveLoopsOnTwoThreads) { check<float>(GetParam(), GetParam(), 2); }
TEST_P(Conv, MatchesNaiveLoopsInBf16) {
  ConvShape s = GetParam();
  s.dtype = DType::BF16;
  check<bf16>(s, s, 1);
}
// What winnow computes itself: oneDNN sums in an order that depends on the threads.
template <class T, class Shape>
std::vector<float> weight_gradient(const Shape& shape, std::size_t nx, std::size_t nw, std::size_t ny, int threads) {
  std::vector<float> dw(nw), db(static_cast<std::size_t>(shape.out));
  auto x = as<T>(random_values(nx, 1, shape.dtype)), dy = as<T>(random_values(ny, 2, shape.dtype));
  const auto way = std::move(cpu::every_layer(shape, Direction::BackwardWeights, threads)[1]);
  std::vector<std::byte> scratch(way->scratch_bytes() + 64);
  const auto address = reinterpret_cast<std::uintptr_t>(scratch.data());
  way->run({x.data(), dw.data(), db.data(), dy.data()}, {.scratch = scratch.data() + (64 - address % 64) % 64});
  dw.insert(dw.end(), db.begin(), db.end());
  return dw;
}
class Tiles : public ::testing::TestWithParam<DType> {};
TEST_P(Tiles, GiveTheSameWeightGradientOnAnyNumberOfThreads) {
  const ConvShape conv{9, 12, 11, 20, 50, 5, 5, 1, 2, 1, GetParam(), true};
  const LinearShape linear{101, 70, 33, GetParam(), true};
  const auto same = [](const auto& shape, std::size_t nx, std::size_t nw, std::size_t ny) {
    const auto on = [&](int threads) {
      return GetParam() == DType::BF16 ? weight_gradient<bf16>(shape, nx, nw, ny, threads)
                                       : weight_gradient<float>(shape, nx, nw, ny, threads);
    };
    const auto one = on(1);
    for (const int threads : {2, 3, 7}) EXPECT_EQ(on(threads), one) << threads;
  };
  same(conv, 9 * 12 * 11 * 20, 20 * 50 * 25, 9 * 12 * 11 * 50);
  same(linear, 101 * 70, 70 * 33, 101 * 33);
}
std::vector<DType> contracted_types() {
  std::vector<DType> types{DType::F32, DType::BF16};
  std::erase_if(types, [](DType type) { return !cpu::can_contract(type); });
  return types;
}
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Tiles);  // needs AVX-512
INSTANTIATE_TEST_SUITE_P(Layers, Tiles, ::testing::ValuesIn(contracted_types()),
                         [](const auto& type) { return std::string(name_of(type.param)); });
INSTANTIATE_TEST_SUITE_P(Layers, Conv, ::testing::ValuesIn(kConvs));

const LinearShape kLinears[] = {
    {4, 784, 300, DType::F32, true}, {3, 7, 5, DType::F32, true},      {1, 100, 10, DType::F32, true},
    {33, 64, 10, DType::F32, false}, {128, 50, 500, DType::F32, true}, {5, 90, 130, DType::F32, true},
};

class Linear : public ::testing::TestWithParam<LinearShape> {};
TEST_P(Linear, MatchesNaiveLoops) { check<float>(GetParam(), as_conv(GetParam()), 1); }
TEST_P(Linear, MatchesNaiveLoopsOnTwoThreads) { check<float>(GetParam(), as_conv(GetParam()), 2); }
TEST_P(Linear, MatchesNaiveLoopsInBf16) {
  LinearShape s = GetParam();
  s.dtype = DType::BF16;
  check<bf16>(s, as_conv(s), 1);
}
INSTANTIATE_TEST_SUITE_P(Layers, Linear, ::testing::ValuesIn(kLinears));

}  // namespace
}  // namespace winnow::test
