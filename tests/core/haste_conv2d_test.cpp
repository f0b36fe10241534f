// Convolution by hashing against numbers worked out by hand, and against the convolution it stands for.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/autodiff.h"
#include "core/error.h"
#include "kernels/rng.h"
#include "tests/core/run_graph.h"

namespace winnow {
namespace {

using test::Bench;
using Floats = std::vector<float>;

Floats drawn(std::int64_t count, const char* stream) {
  Floats values;
  for (std::int64_t i = 0; i < count; ++i)
    values.push_back(normal_at({5, stream_id(stream), 0}, static_cast<std::uint64_t>(i)));
  return values;
}

struct Layer4 {
  Shape x, w;
  std::int64_t stride = 1, pad = 0, tile = 3;
  bool bias = false;
  std::int64_t patch() const { return ((tile - 1) * stride + w[2]) * ((tile - 1) * stride + w[3]); }
};

struct Outputs {
  Floats y, merged;
};

Outputs haste(const Layer4& layer, const Floats& x, const Floats& w, std::int64_t bits, const Floats& vectors,
              int threads = 1) {
  Bench bench;
  const ValueId bias = layer.bias ? bench.leaf("b", {layer.w[0]}, drawn(layer.w[0], "bias")) : kNoValue;
  const auto out = bench.graph.emit(
      "haste_conv2d",
      {bench.leaf("x", layer.x, x), bench.leaf("w", layer.w, w), bias, bench.leaf("v", {bits, layer.patch()}, vectors)},
      {{"stride", layer.stride}, {"pad", layer.pad}, {"tile", layer.tile}}, "haste");
  Program program = bench.compile(out, threads);
  program.run();
  const auto y = program.view(out[0]).span<float>(), merged = program.view(out[1]).span<float>();
  return {{y.begin(), y.end()}, {merged.begin(), merged.end()}};
}

Floats exact(const Layer4& layer, const Floats& x, const Floats& w) {
  Bench bench;
  std::vector<ValueId> in = {bench.leaf("x", layer.x, x), bench.leaf("w", layer.w, w)};
  if (layer.bias) in.push_back(bench.leaf("b", {layer.w[0]}, drawn(layer.w[0], "bias")));
  return bench.eval(bench.graph.emit1("conv2d", in, {{"stride", layer.stride}, {"pad", layer.pad}}, "conv"));
}

std::int64_t tiles(const Layer4& layer) {
  const auto across = [&](int axis) {
    const std::int64_t out = (layer.x[axis] + 2 * layer.pad - layer.w[axis + 1]) / layer.stride + 1;
    return (out + layer.tile - 1) / layer.tile;
  };
  return across(1) * across(2);
}

void expect_near(const Floats& found, const Floats& expected, double tolerance = 1e-5) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i)
    ASSERT_NEAR(found[i], expected[i], tolerance * std::max(1.0f, std::fabs(expected[i]))) << i;
}

// The specification's example: four channels of 2x2 places, a 1x1 filter. Centred, channels 0 and 1 hash alike and so do 2
// and 3.
TEST(HasteConv2d, MatchesTheSpecificationsExample) {
  const Floats channels[] = {{1, 2, 3, 4}, {1, 2, 3, 5}, {4, 3, 2, 1}, {9, 8, 7, 7}};
  Floats x;
  for (std::size_t place = 0; place < 4; ++place) {
    for (const Floats& channel : channels) x.push_back(channel[place]);
  }
  const Layer4 layer{.x = {1, 2, 2, 4}, .w = {1, 4, 1, 1}, .tile = 2};
  const Floats w = {2, -1, 0.5f, 1};
  const Outputs found = haste(layer, x, w, 3, {1, 0, -1, 0, 0, 1, 0, -1, 1, 0, 0, 0});
  EXPECT_EQ(found.merged, (Floats{2}));
  expect_near(found.y, {10.75f, 10.25f, 9.75f, 10.5f});
  const Floats dense = exact(layer, x, w);
  expect_near(dense, {12, 11.5f, 11, 10.5f});
}

TEST(HasteConv2d, ChannelsThatAreCopiesAreMergedExactly) {
  const Layer4 layer{.x = {2, 9, 9, 16}, .w = {5, 16, 3, 3}, .pad = 1, .bias = true};
  const Floats half = drawn(2 * 81 * 8, "x");
  Floats x;
  for (std::size_t place = 0; place < 2 * 81; ++place) {
    for (std::size_t c = 0; c < 16; ++c) x.push_back(half[place * 8 + c / 2]);
  }
  const Floats w = drawn(5 * 16 * 9, "w");
  const Outputs found = haste(layer, x, w, 24, drawn(24 * 25, "v"));
  const auto expected = static_cast<float>(8 * tiles(layer));
  ASSERT_EQ(found.merged, (Floats{expected, expected})) << "half of the channels on every patch";
  expect_near(found.y, exact(layer, x, w));
}

TEST(HasteConv2d, WithoutBitsAllChannelsAreOne) {
  const Layer4 layer{.x = {1, 4, 4, 6}, .w = {3, 6, 3, 3}};
  const Floats x = drawn(16 * 6, "x"), w = drawn(3 * 6 * 9, "w");
  Floats mean(16), sum(3 * 9);
  for (std::size_t i = 0; i < 96; ++i) mean[i / 6] += x[i] / 6;
  for (std::size_t i = 0; i < w.size(); ++i) sum[i / 54 * 9 + i % 9] += w[i];
  const Outputs found = haste(layer, x, w, 0, {});
  EXPECT_EQ(found.merged, (Floats{1}));
  expect_near(found.y, exact({.x = {1, 4, 4, 1}, .w = {3, 1, 3, 3}}, mean, sum));
}

// Where no two channels have one code, the tiles alone are left, and they give the convolution.
TEST(HasteConv2d, TilesThatMergeNothingAreTheConvolution) {
  const Layer4 layers[] = {{.x = {2, 7, 5, 6}, .w = {20, 6, 3, 3}, .pad = 1, .bias = true},
                           {.x = {1, 9, 11, 5}, .w = {7, 5, 3, 3}, .stride = 2, .pad = 1},
                           {.x = {2, 5, 5, 8}, .w = {16, 8, 1, 1}},
                           {.x = {1, 8, 8, 4}, .w = {4, 4, 1, 1}, .stride = 2},
                           {.x = {1, 6, 7, 4}, .w = {33, 4, 5, 5}, .pad = 2, .tile = 1},
                           {.x = {1, 6, 7, 4}, .w = {3, 4, 3, 3}, .pad = 1, .tile = 5}};
  for (const Layer4& layer : layers) {
    const Floats x = drawn(layer.x.numel(), "x"), w = drawn(layer.w.numel(), "w");
    const Outputs found = haste(layer, x, w, 32, drawn(32 * layer.patch(), "v"), 2);
    for (const float merged : found.merged) ASSERT_EQ(merged, static_cast<float>(layer.x[3] * tiles(layer)));
    expect_near(found.y, exact(layer, x, w), 2e-5);
  }
}

TEST(HasteConv2d, MoreBitsAreMoreExact) {
  const Layer4 layer{.x = {1, 9, 9, 32}, .w = {8, 32, 3, 3}, .pad = 1};
  const Floats x = drawn(layer.x.numel(), "x"), w = drawn(layer.w.numel(), "w"), truth = exact(layer, x, w);
  double last = 1e30, merged = 0;
  for (const std::int64_t bits : {2, 6, 24}) {
    const Outputs found = haste(layer, x, w, bits, drawn(bits * 25, "v"));
    double error = 0;
    for (std::size_t i = 0; i < truth.size(); ++i) error += std::pow(static_cast<double>(found.y[i] - truth[i]), 2);
    EXPECT_LT(error, last) << bits;
    EXPECT_GT(found.merged[0], merged) << bits;
    last = error;
    merged = found.merged[0];
  }
  EXPECT_GT(merged, 0.95 * static_cast<double>(32 * tiles(layer)));
}

TEST(HasteConv2d, HasNoDerivative) {
  Bench bench;
  const ValueId w = bench.leaf("w", {2, 4, 1, 1});
  const ValueId y =
      bench.graph.emit1("haste_conv2d", {bench.leaf("x", {1, 3, 3, 4}), w, kNoValue, bench.leaf("v", {2, 9})},
                        {{"tile", std::int64_t{3}}}, "haste");
  const ValueId loss = bench.graph.emit1("reduce_sum", {y}, {}, "sum");
  EXPECT_THROW(differentiate(bench.graph, loss, std::vector{w}), Error);
}

TEST(HashVectors, HaveTheShareOfZerosAndBothSigns) {
  Bench bench;
  const auto vectors = [&](double zeros, std::int64_t gaussian, std::int64_t seed = 1) {
    return bench.eval(bench.graph.emit1("hash_vectors", {},
                                        {{"seed", seed},
                                         {"bits", std::int64_t{32}},
                                         {"length", std::int64_t{1000}},
                                         {"zeros", zeros},
                                         {"gaussian", gaussian}},
                                        "conv.hash"));
  };
  const Floats ternary = vectors(2.0 / 3, 0);
  EXPECT_EQ((std::set<float>(ternary.begin(), ternary.end())), (std::set<float>{-1, 0, 1}));
  EXPECT_NEAR(static_cast<double>(std::ranges::count(ternary, 0.0f)) / 32000, 2.0 / 3, 0.01);
  EXPECT_NEAR(static_cast<double>(std::ranges::count(ternary, 1.0f)) / 32000, 1.0 / 6, 0.01);
  EXPECT_EQ(ternary, vectors(2.0 / 3, 0));
  EXPECT_NE(ternary, vectors(2.0 / 3, 0, 2));
  double squares = 0;
  for (const float v : vectors(0, 1)) squares += static_cast<double>(v) * static_cast<double>(v);
  EXPECT_NEAR(squares / 32000, 1, 0.03);
}

}  // namespace
}  // namespace winnow
