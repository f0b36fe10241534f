// What tests/core/device_kernel_test.cpp does not reach through ops.
#include "kernels/direct_layer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/fold_rows.h"
#include "tests/kernels/reference.h"

namespace winnow {
namespace {

// Forward and data gradient are one sum an element; folds of many pixels need memory.
TEST(DirectLayer, AsksForScratchWhereFoldsHaveChunks) {
  const LinearShape few{10, 7, 3, DType::F32, true}, many{3 * kFoldChunk, 7, 3, DType::F32, true};
  EXPECT_EQ(DirectLayer(many, Direction::Forward).scratch_bytes(), 0u);
  EXPECT_EQ(DirectLayer(many, Direction::BackwardData).scratch_bytes(), 0u);
  EXPECT_EQ(DirectLayer(few, Direction::BackwardWeights).scratch_bytes(), 0u);
  EXPECT_EQ(DirectLayer(many, Direction::BackwardWeights).scratch_bytes(), 3u * 21 * sizeof(float));
  EXPECT_EQ(DirectLayer(few, Direction::Forward).implementation(), "direct");
}

// x in eight channels, of which the layer has three, gives the bits of x in three: what lies behind them is not looked at.
TEST(DirectLayer, TakesXInMoreChannelsThanItHas) {
  const auto expect_same_bits = []<class T>(T, DType dtype, std::int64_t batch) {
    ConvShape s{.batch = batch,
                .height = 7,
                .width = 6,
                .in = 3,
                .out = 5,
                .kernel_h = 3,
                .kernel_w = 2,
                .stride = 2,
                .pad = 1,
                .groups = 1,
                .dtype = dtype,
                .bias = false};
    const auto count = [](std::int64_t n) { return static_cast<std::size_t>(n); };
    const std::size_t pixels = count(batch * s.height * s.width);
    std::vector<T> x = test::as<T>(test::random_values(pixels * 3, 1)), wide(pixels * 8, from_float<T>(NAN));
    for (std::size_t i = 0; i < x.size(); ++i) wide[i / 3 * 8 + i % 3] = x[i];
    std::vector<float> w = test::as<float>(test::random_values(count(s.out * s.in * s.kernel_h * s.kernel_w), 2));
    std::vector<T> dy = test::as<T>(test::random_values(count(batch * s.out_height() * s.out_width() * s.out), 3));
    const auto run = [&](Direction direction, std::vector<T>& of, std::int64_t padded_in) {
      s.padded_in = padded_in;
      DirectLayer layer(s, direction);
      std::vector<std::byte> scratch(layer.scratch_bytes());
      std::vector<T> y = dy;
      std::vector<float> weights = w;
      layer.run({of.data(), weights.data(), nullptr, y.data()}, Exec{.scratch = scratch.data()});
      std::vector<float> found;
      for (const T value : y) found.push_back(to_float(value));
      found.insert(found.end(), weights.begin(), weights.end());
      return found;
    };
    for (const Direction direction : {Direction::Forward, Direction::BackwardWeights}) {
      EXPECT_EQ(run(direction, wide, 8), run(direction, x, 0)) << static_cast<int>(direction) << ' ' << batch;
    }
  };
  for (const std::int64_t batch : {2, 90}) {  // few pixels, and as many as are folded
    expect_same_bits(float{}, DType::F32, batch);
    expect_same_bits(bf16{}, DType::BF16, batch);
  }
}

}  // namespace
}  // namespace winnow
