// The dry device: what nodes queue and which memory they go over, without a device.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/error.h"
#include "core/program.h"
#include "kernels/dry.h"

namespace winnow::test {
namespace {

double passes(const NodeWork& work, ValueId value, bool is_write) {
  double sum = 0;
  for (const MemoryPass& pass : work.passes) {
    if (pass.value == value && pass.is_write == is_write) sum += pass.share;
  }
  return sum;
}

Program dry_program(const Graph& graph, std::initializer_list<ValueId> outputs, std::initializer_list<ValueId> leaves) {
  const auto stream = std::make_shared<dry::Stream>();
  std::vector<Binding> bindings;
  for (const ValueId leaf : leaves) bindings.push_back({leaf, nullptr});
  Program program(graph, std::vector<ValueId>(outputs), bindings, {stream, 1});
  for (const ValueId leaf : leaves) program.feed(leaf, nullptr);
  return program;
}

TEST(Dry, AnElementwiseOpReadsItsInputsAndWritesItsOutputOnce) {
  Graph graph;
  const ValueId a = graph.input("a", {64, 100}), b = graph.input("b", {64, 100});
  const ValueId sum = graph.emit1("add", {a, b}, {}, "sum");
  Program program = dry_program(graph, {sum}, {a, b});
  const std::vector<NodeWork> work = program.dry_run();
  ASSERT_EQ(work.size(), 1u);
  EXPECT_EQ(work[0].launches, 1u);
  EXPECT_EQ(passes(work[0], a, false), 1);
  EXPECT_EQ(passes(work[0], b, false), 1);
  EXPECT_EQ(passes(work[0], sum, true), 1);
  EXPECT_EQ(work[0].passes.size(), 3u);
}

// In place, as in a program where nothing else reads what it normalises.
TEST(Dry, BatchNormReadsTwiceAndWritesOnceInItsOwnPlace) {
  Graph graph;
  const ValueId a = graph.input("a", {32, 8, 8, 16}),
                c[4] = {graph.input("g", {16}), graph.input("b", {16}), graph.input("m", {16}), graph.input("v", {16})};
  const ValueId x = graph.emit1("relu", {a}, {}, "x");
  const ValueId y = graph.emit1("batch_norm", {x, c[0], c[1], c[2], c[3]}, {{"eps", 1e-5}}, "norm");
  Program program = dry_program(graph, {y}, {a, c[0], c[1], c[2], c[3]});
  ASSERT_EQ(program.view(x).data, program.view(y).data);
  const NodeWork norm = program.dry_run().back();
  EXPECT_EQ(norm.launches, 2u);
  EXPECT_NEAR(passes(norm, x, false), 2, 0.01);
  EXPECT_EQ(passes(norm, y, true), 1);
}

TEST(Dry, BatchNormThatIsGivenSumsReadsOnce) {
  Graph graph;
  const ValueId a = graph.input("a", {32, 8, 8, 16}), w = graph.input("w", {16, 16, 3, 3}),
                c[4] = {graph.input("g", {16}), graph.input("b", {16}), graph.input("m", {16}), graph.input("v", {16})};
  const auto layer = graph.emit("conv2d", {a, w}, {{"pad", std::int64_t{1}}, {"sums", std::int64_t{1}}}, "conv");
  const ValueId y = graph.emit1("batch_norm", {layer[0], c[0], c[1], c[2], c[3], kNoValue, layer[1]}, {{"eps", 1e-5}});
  Program program = dry_program(graph, {y}, {a, w, c[0], c[1], c[2], c[3]});
  const std::vector<NodeWork> work = program.dry_run();
  ASSERT_EQ(work.size(), 2u);
  EXPECT_EQ(passes(work[0], layer[0], true), 1);
  EXPECT_EQ(passes(work[0], layer[0], false), 0) << "the library has the sums as it writes";
  EXPECT_EQ(passes(work[0], layer[1], true), 1);
  EXPECT_EQ(work[1].launches, 2u);
  EXPECT_EQ(passes(work[1], layer[0], false), 1);
  EXPECT_EQ(passes(work[1], layer[1], false), 1);
}

// The residual's gradient is the gated sum of both parts, which is all that the second pass reads beside x; dx takes the
// place of dy, which is not read again.
TEST(Dry, TheGradientOfBatchNormReadsItsSummandsOnce) {
  Graph graph;
  const Shape image{32, 8, 8, 16}, channels{16};
  const ValueId a = graph.input("a", image), x = graph.input("x", image), y = graph.input("y", image),
                more = graph.input("more", image), gamma = graph.input("gamma", channels),
                beta = graph.input("beta", channels), mean = graph.input("mean", channels),
                rstd = graph.input("rstd", channels);
  const ValueId dy = graph.emit1("relu", {a}, {}, "dy");
  const auto out = graph.emit("batch_norm_backward", {dy, x, y, gamma, beta, mean, rstd, more},
                              {{"running", std::int64_t{0}}, {"relu", std::int64_t{1}}, {"residual", std::int64_t{1}}});
  Program program = dry_program(graph, {out[0], out[3]}, {a, x, y, more, gamma, beta, mean, rstd});
  ASSERT_EQ(program.view(dy).data, program.view(out[0]).data);
  const NodeWork norm = program.dry_run().back();
  EXPECT_EQ(norm.launches, 2u);
  for (const ValueId once : {dy, y, more}) EXPECT_EQ(passes(norm, once, false), 1) << graph.value(once).name;
  EXPECT_EQ(passes(norm, x, false), 2);
  EXPECT_EQ(passes(norm, out[0], true), 1);
  EXPECT_EQ(passes(norm, out[3], true), 1);
}

#if __has_builtin(__builtin_clear_padding)
// A flag at the end of a functor leaves seven bytes that nobody sets: an address that lay there before is none of the kernel's.
TEST(Dry, WhatLiesBetweenMembersIsNoAddress) {
  struct Body {
    float* y;
    bool flag;
  };
  const std::uintptr_t before[] = {0, std::uintptr_t{1} << 44};
  alignas(Body) std::byte memory[sizeof(Body)];
  std::memcpy(memory, before, sizeof memory);
  Body& body = *reinterpret_cast<Body*>(memory);
  body.y = nullptr;
  body.flag = true;
  const dry::Argument given = dry::argument(body);
  std::uintptr_t words[2];
  ASSERT_EQ(given.bytes.size(), sizeof words);
  std::memcpy(words, given.bytes.data(), sizeof words);
  EXPECT_EQ(words[0], 0u);
  EXPECT_EQ(words[1], 1u);
}
#endif

TEST(Dry, NodesThatRunTogetherShareTheirLaunch) {
  Graph graph;
  const ValueId w[] = {graph.input("w0", {300}), graph.input("w1", {7, 5})};
  const ValueId g[] = {graph.input("g0", {300}), graph.input("g1", {7, 5})};
  const ValueId s = graph.input("s", {1});
  ValueId up[2];
  for (int i = 0; i < 2; ++i) up[i] = graph.emit1("ascend", {w[i], g[i], kNoValue, kNoValue, s}, {}, "up");
  Program program = dry_program(graph, {up[0], up[1]}, {w[0], w[1], g[0], g[1], s});
  const std::vector<NodeWork> work = program.dry_run();
  ASSERT_EQ(work.size(), 2u);
  EXPECT_EQ(work[0].launches, 1u);
  EXPECT_EQ(work[1].launches, 0u);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(passes(work[i], w[i], false), 1);
    EXPECT_EQ(passes(work[i], g[i], false), 1);
    EXPECT_EQ(passes(work[i], up[i], true), 1);
  }
}

TEST(Dry, AFoldOfManyColumnsIsTwoLaunches) {
  for (const std::int64_t columns : {4096, 4097}) {
    Graph graph;
    const ValueId x = graph.input("x", {1, columns});
    const ValueId sum = graph.emit1("reduce_sum", {x}, {}, "sum");
    Program program = dry_program(graph, {sum}, {x});
    const NodeWork work = program.dry_run().front();
    EXPECT_EQ(work.launches, columns > 4096 ? 2u : 1u);
    EXPECT_EQ(passes(work, x, false), 1);
    EXPECT_EQ(passes(work, sum, true), 1);
    EXPECT_EQ(work.scratch_written > 0, columns > 4096);
    EXPECT_EQ(work.scratch_written, work.scratch_read);
  }
}

// bf16: weights are rounded first, and channels are padded to eights.
TEST(Dry, LayersAreThoseOfNvidiasLibraries) {
  Graph graph;
  const ValueId x = graph.input("x", {8, 16, 16, 3}, DType::BF16), w = graph.input("w", {16, 3, 3, 3});
  const ValueId y = graph.emit1("conv2d", {x, w}, {{"pad", std::int64_t{1}}}, "conv");
  Program program = dry_program(graph, {y}, {x, w});
  const NodeWork work = program.dry_run().front();
  EXPECT_EQ(work.calls, 1u);
  EXPECT_EQ(work.launches, 2u) << "x is padded, weights are packed";
  EXPECT_EQ(passes(work, x, false), 1);
  EXPECT_EQ(passes(work, w, false), 1);
  EXPECT_EQ(passes(work, y, true), 1);
  EXPECT_EQ(work.scratch_written, 2u * (8 * 16 * 16 * 8 + 16 * 9 * 8));
  EXPECT_EQ(work.scratch_read, work.scratch_written);
}

// The images are made wide by the cast (fit_channels), and both convolutions that read them take them as they are.
TEST(Dry, FittedImagesArePaddedByTheirCastAlone) {
  Graph graph;
  const ValueId images = graph.input("images", {8, 16, 16, 3}), w = graph.input("w", {16, 3, 3, 3}),
                dy = graph.input("dy", {8, 16, 16, 16}, DType::BF16);
  const ValueId x = graph.emit1("cast", {images}, {{"dtype", std::string("bf16")}, {"channels", std::int64_t{8}}});
  const std::int64_t pad = 1, kernel = 3, counted = 3;
  const Attrs attrs{{"pad", pad}, {"in_channels", counted}, {"kernel_h", kernel}, {"kernel_w", kernel}};
  const ValueId y = graph.emit1("conv2d", {x, w}, attrs);
  const ValueId dw = graph.emit1("conv2d_backward_weights", {x, dy}, attrs);
  Program program = dry_program(graph, {y, dw}, {images, w, dy});
  EXPECT_EQ(program.view(x).bytes(), 2u * 8 * 16 * 16 * 8);
  const std::vector<NodeWork> work = program.dry_run();
  ASSERT_EQ(work.size(), 3u);
  EXPECT_EQ(work[0].launches, 1u);
  EXPECT_EQ(passes(work[0], images, false), 1);
  EXPECT_EQ(passes(work[0], x, true), 1);
  for (const std::size_t layer : {1u, 2u}) {
    EXPECT_EQ(work[layer].calls, 1u);
    EXPECT_EQ(work[layer].launches, 1u) << "weights are packed, or their gradient unpacked";
    EXPECT_EQ(passes(work[layer], x, false), 1);
    EXPECT_EQ(work[layer].macs, 8 * 16 * 16 * 16 * 27);
  }
  EXPECT_EQ(work[1].scratch_written, 2u * 16 * 9 * 8);
  EXPECT_EQ(work[2].scratch_written, 4u * 16 * 9 * 8);
}

TEST(Dry, AProgramOfTheCpuIsNone) {
  Graph graph;
  const ValueId a = graph.input("a", {4});
  const ValueId b = graph.emit1("relu", {a}, {}, "b");
  std::vector<float> values(4);
  const Binding bound{a, values.data()};
  Program program(graph, std::vector{b}, std::vector{bound}, 1);
  EXPECT_THROW(program.dry_run(), Error);
}

}  // namespace
}  // namespace winnow::test
