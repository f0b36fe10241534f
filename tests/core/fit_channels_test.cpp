// Images that become bf16 in as many channels as cuDNN wants: where the pass applies, and that nothing else changes.
#include "core/fit_channels.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "core/error.h"
#include "tests/core/run_graph.h"
#include "tests/core/wave.h"

namespace winnow {
namespace {

using test::wave;

// conv(cast(images), w), the sum of its squares as the loss, and the gradients by w and by the images.
struct HowRead {
  std::int64_t channels = 3, kernel = 3, stride = 1, pad = 1, groups = 1;
  bool in_bf16 = true;
};
struct ImagesOfLayer {
  test::Bench bench;
  ValueId images, x, w, y, loss;
  std::vector<ValueId> outputs;

  explicit ImagesOfLayer(const HowRead& how = {}) {
    Graph& graph = bench.graph;
    const Shape image{2, 6, 6, how.channels}, weights{6, how.channels / how.groups, how.kernel, how.kernel};
    images = bench.leaf("images", image, wave(static_cast<std::size_t>(image.numel()), 0.3f));
    w = bench.leaf("w", weights, wave(static_cast<std::size_t>(weights.numel()), 0.9f));
    x = how.in_bf16 ? cast(images, "bf16") : images;
    y = graph.emit1("conv2d", {x, w}, {{"stride", how.stride}, {"pad", how.pad}, {"groups", how.groups}}, "conv");
    loss = sum_of_squares(y);
  }
  ValueId cast(ValueId value, const char* to) {
    return bench.graph.emit1("cast", {value}, {{"dtype", std::string(to)}});
  }
  ValueId sum_of_squares(ValueId value) {
    const ValueId wide = cast(value, "f32");
    return bench.graph.emit1("reduce_sum", {bench.graph.emit1("mul", {wide, wide})});
  }
  void differentiate_all() {
    outputs = {loss};
    for (const Gradient& g : differentiate(bench.graph, loss, std::array{images, w})) outputs.push_back(g.grad);
  }
  // Channels of what the layer reads.
  std::int64_t fitted() {
    fit_channels(bench.graph, outputs);
    return bench.graph.value(x).shape[3];
  }
};

std::int64_t fitted(const HowRead& how) {
  ImagesOfLayer layer(how);
  layer.differentiate_all();
  return layer.fitted();
}

TEST(FitChannels, ImagesAreWrittenOnceInEightsAndResultsStay) {
  for (const std::int64_t channels : {1, 3}) {
    ImagesOfLayer plain({.channels = channels}), wide({.channels = channels});
    for (ImagesOfLayer* each : {&plain, &wide}) each->differentiate_all();
    EXPECT_EQ(wide.fitted(), 8);
    int readers = 0;
    for (const Node& node : wide.bench.graph.nodes()) readers += node.attrs.has("in_channels") ? 1 : 0;
    EXPECT_EQ(readers, 2) << "the layer and the gradient of its weights";
    EXPECT_EQ(wide.bench.graph.value(wide.images), plain.bench.graph.value(plain.images));
    EXPECT_EQ(wide.bench.graph.node_count(), plain.bench.graph.node_count());

    const std::vector<float> in_eights = wide.bench.eval(wide.x), narrow = plain.bench.eval(plain.x);
    for (std::size_t i = 0; i < in_eights.size(); ++i) {
      const auto c = static_cast<std::int64_t>(i) % 8, row = static_cast<std::int64_t>(i) / 8;
      EXPECT_EQ(in_eights[i], c < channels ? narrow[static_cast<std::size_t>(row * channels + c)] : 0.0f) << i;
    }
    EXPECT_EQ(wide.bench.compile(wide.outputs).macs(), plain.bench.compile(plain.outputs).macs());
    ASSERT_EQ(wide.outputs, plain.outputs);
    for (const ValueId output : wide.outputs) {
      EXPECT_EQ(wide.bench.graph.value(output), plain.bench.graph.value(output));
      const std::vector<float> found = wide.bench.eval(output), expected = plain.bench.eval(output);
      ASSERT_EQ(found.size(), expected.size());
      float largest = 0;
      for (const float value : expected) largest = std::max(largest, std::abs(value));
      for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 0.02f * largest) << i;
    }
  }
}

TEST(FitChannels, LeavesAloneWhatNoLibraryPads) {
  EXPECT_EQ(fitted({}), 8);
  EXPECT_EQ(fitted({.channels = 12}), 16);
  EXPECT_EQ(fitted({.channels = 8}), 8) << "as they are";
  EXPECT_EQ(fitted({.in_bf16 = false}), 3) << "f32 has engines for any number";
  EXPECT_EQ(fitted({.groups = 3}), 3) << "zeros would have to go between the groups";
  EXPECT_EQ(fitted({.kernel = 1, .pad = 0}), 3) << "a product of matrices, which is not cuDNN's";
  EXPECT_EQ(fitted({.kernel = 1, .stride = 2, .pad = 0}), 8);
}

TEST(FitChannels, LeavesAloneWhatOthersRead) {
  const auto with = [](const auto& add_reader) {
    ImagesOfLayer layer;
    add_reader(layer);
    layer.differentiate_all();
    return layer.fitted();
  };
  const auto add_to_loss = [](ImagesOfLayer& layer, ValueId value) {
    layer.loss = layer.bench.graph.emit1("add", {layer.loss, layer.sum_of_squares(value)});
  };
  const auto convolved = [](ImagesOfLayer& layer, std::int64_t kernel) {
    const ValueId w = layer.bench.leaf("other", {4, 3, kernel, kernel});
    return layer.bench.graph.emit1("conv2d", {layer.x, w}, {{"pad", kernel / 2}}, "other");
  };
  EXPECT_EQ(with([&](auto& layer) { add_to_loss(layer, convolved(layer, 5)); }), 8) << "two convolutions alike";
  EXPECT_EQ(with([&](auto& layer) { add_to_loss(layer, convolved(layer, 1)); }), 3) << "one that is cuBLASLt's";
  EXPECT_EQ(with([&](auto& layer) { add_to_loss(layer, layer.x); }), 3) << "no convolution";
  EXPECT_EQ(with([&](auto& layer) { layer.bench.graph.emit1("relu", {layer.x}); }), 8) << "nobody needs that";

  ImagesOfLayer kept;
  kept.outputs = {kept.loss, kept.x};
  EXPECT_EQ(kept.fitted(), 3) << "somebody looks at it";
}

// The form that the pass makes, and no other.
TEST(FitChannels, ShapesThatItDoesNotMakeAreErrors) {
  const auto conv = [](std::int64_t in_memory, std::int64_t counted, std::int64_t groups, DType dtype) {
    Graph graph;
    const ValueId x = graph.input("x", {2, 6, 6, in_memory}, dtype), w = graph.input("w", {8, 3 / groups, 3, 3}),
                  dy = graph.input("dy", {2, 6, 6, 8}, dtype);
    const std::int64_t pad = 1, kernel = 3;
    const Attrs attrs{
        {"pad", pad}, {"groups", groups}, {"in_channels", counted}, {"kernel_h", kernel}, {"kernel_w", kernel}};
    graph.emit("conv2d", {x, w}, attrs, "conv");
    const ValueId dw = graph.emit1("conv2d_backward_weights", {x, dy}, attrs, "dw");
    EXPECT_EQ(graph.value(dw).shape, graph.value(w).shape);
  };
  EXPECT_NO_THROW(conv(8, 3, 1, DType::BF16));
  EXPECT_THROW(conv(8, 3, 1, DType::F32), Error);
  EXPECT_THROW(conv(16, 3, 1, DType::BF16), Error) << "not the next eight";
  EXPECT_THROW(conv(3, 3, 1, DType::BF16), Error) << "no zeros behind them";
  EXPECT_THROW(conv(8, 3, 3, DType::BF16), Error);
  EXPECT_THROW(conv(8, 5, 1, DType::BF16), Error) << "the weights take three";

  const auto cast = [](const Shape& x, DType from, const char* to, std::int64_t channels) {
    Graph graph;
    graph.emit1("cast", {graph.input("x", x, from)}, {{"dtype", std::string(to)}, {"channels", channels}});
  };
  EXPECT_NO_THROW(cast({2, 6, 6, 3}, DType::F32, "bf16", 8));
  EXPECT_THROW(cast({2, 6, 6, 3}, DType::F32, "f32", 8), Error);
  EXPECT_THROW(cast({2, 6, 6, 3}, DType::BF16, "bf16", 8), Error);
  EXPECT_THROW(cast({2, 6, 6, 3}, DType::F32, "bf16", 3), Error);
  EXPECT_THROW(cast({2, 3}, DType::F32, "bf16", 8), Error);
}

}  // namespace
}  // namespace winnow
