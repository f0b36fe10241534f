#include "core/autodiff.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/core/run_graph.h"

namespace winnow {
namespace {

using test::Bench;
using Floats = std::vector<float>;

ValueId grad_of(const std::vector<Gradient>& gradients, ValueId leaf) {
  for (const Gradient& g : gradients) {
    if (g.of == leaf) return g.grad;
  }
  ADD_FAILURE() << "no entry for the leaf";
  return kNoValue;
}

// a + b and a - b: an op of which both outputs carry gradient. The conformance suite checks it, too.
const bool kDefined = [] {
  define_op({
      .name = "test_sum_and_difference",
      .infer = [](std::span<const ValueInfo> in, const Attrs&) -> std::vector<ValueInfo> {
        require(in.size() == 2 && in[0].shape == in[1].shape && in[0].dtype == DType::F32 && in[1].dtype == DType::F32,
                "takes two like tensors");
        return {{in[0].shape}, {in[0].shape}};
      },
      .reverse =
          [](Reverse& r) {
            Graph& graph = r.graph();
            const ValueId sum = r.out_grad(0), difference = r.out_grad(1);
            if (sum != kNoValue) {
              r.add(0, sum);
              r.add(1, sum);
            }
            if (difference != kNoValue) {
              r.add(0, difference);
              if (!r.wants(1)) return;
              const ValueId minus = graph.emit1("fill", {}, {{"value", -1.0}, {"shape", std::vector<std::int64_t>{}}});
              r.add(1, graph.emit1("scale_by", {difference, minus}));
            }
          },
      .kernel = {.any = plain_kernel([](const KernelSpec&, const KernelCall& call) {
                   for (std::int64_t i = 0; i < call.in[0].numel(); ++i) {
                     const float a = call.in[0].as<float>()[i], b = call.in[1].as<float>()[i];
                     call.out[0].as<float>()[i] = a + b;
                     call.out[1].as<float>()[i] = a - b;
                   }
                 })},
      .examples = {{.label = "vector", .in = {{{5}}, {{5}}}, .bf16 = false}},
  });
  return true;
}();

TEST(Autodiff, SharedSubexpressionSumsItsGradients) {
  Bench bench;
  const ValueId x = bench.leaf("x", {3}, {1, 2, -3});
  const ValueId square = bench.graph.emit1("mul", {x, x}, {}, "square");
  const ValueId both =
      bench.graph.emit1("add", {square, bench.graph.emit1("mul", {square, x}, {}, "cube")}, {}, "both");
  const ValueId loss = bench.graph.emit1("reduce_sum", {both}, {}, "loss");
  const auto gradients = differentiate(bench.graph, loss, std::span(&x, 1));
  EXPECT_EQ(bench.eval(grad_of(gradients, x)), (Floats{2 + 3, 4 + 12, -6 + 27})) << "2 x + 3 x^2";
}

TEST(Autodiff, BothOutputsOfANodeCarryGradient) {
  Bench bench;
  const ValueId a = bench.leaf("a", {2}, {3, 5}), b = bench.leaf("b", {2}, {2, 7});
  const auto out = bench.graph.emit("test_sum_and_difference", {a, b}, {}, "pair");
  const ValueId product = bench.graph.emit1("mul", {out[0], out[1]}, {}, "product");
  const ValueId loss = bench.graph.emit1("reduce_sum", {product}, {}, "loss");
  const ValueId wanted[] = {a, b};
  const auto gradients = differentiate(bench.graph, loss, wanted);
  EXPECT_EQ(bench.eval(grad_of(gradients, a)), (Floats{6, 10})) << "d(a^2 - b^2)/da";
  EXPECT_EQ(bench.eval(grad_of(gradients, b)), (Floats{-4, -14}));
}

TEST(Autodiff, AnUnusedOutputNeedsNoGradient) {
  Bench bench;
  const ValueId a = bench.leaf("a", {2}, {3, 5}), b = bench.leaf("b", {2}, {2, 7});
  const auto out = bench.graph.emit("test_sum_and_difference", {a, b}, {}, "pair");
  const ValueId loss = bench.graph.emit1("reduce_sum", {out[1]}, {}, "loss");
  const ValueId wanted[] = {a, b};
  const auto gradients = differentiate(bench.graph, loss, wanted);
  EXPECT_EQ(bench.eval(grad_of(gradients, a)), (Floats{1, 1}));
  EXPECT_EQ(bench.eval(grad_of(gradients, b)), (Floats{-1, -1}));
}

TEST(Autodiff, LeafTheLossDoesNotReadHasNoGradientAndComesLast) {
  Bench bench;
  const ValueId unused = bench.leaf("unused", {2}), x = bench.leaf("x", {2}, {1, 2});
  const ValueId loss = bench.graph.emit1("reduce_sum", {x}, {}, "loss");
  const ValueId wanted[] = {unused, x};
  const auto gradients = differentiate(bench.graph, loss, wanted);
  ASSERT_EQ(gradients.size(), 2u);
  EXPECT_EQ(gradients[0].of, x);
  EXPECT_EQ(gradients[1].of, unused);
  EXPECT_EQ(gradients[1].grad, kNoValue);
}

TEST(Autodiff, GradientsAreListedInTheOrderInWhichTheyBecomeFinal) {
  Bench bench;
  const ValueId w0 = bench.leaf("w0", {2}), w1 = bench.leaf("w1", {2}), w2 = bench.leaf("w2", {2}),
                x = bench.leaf("x", {2});
  ValueId y = x;
  for (const ValueId w : {w0, w1, w2}) y = bench.graph.emit1("mul", {y, w});
  const ValueId loss = bench.graph.emit1("reduce_sum", {y}, {}, "loss");
  const ValueId wanted[] = {w0, w1, w2};
  const auto gradients = differentiate(bench.graph, loss, wanted);
  EXPECT_EQ(gradients[0].of, w2) << "the last layer's gradient is ready first";
  EXPECT_EQ(gradients[1].of, w1);
  EXPECT_EQ(gradients[2].of, w0);
}

TEST(Autodiff, EmitsNothingForWhatNobodyWants) {
  Bench bench;
  const ValueId frozen = bench.leaf("frozen", {2}), w = bench.leaf("w", {2}), x = bench.leaf("x", {2});
  const ValueId hidden = bench.graph.emit1("relu", {bench.graph.emit1("mul", {x, frozen})});
  const ValueId loss = bench.graph.emit1("reduce_sum", {bench.graph.emit1("mul", {hidden, w})}, {}, "loss");
  const NodeId before = bench.graph.node_count();
  differentiate(bench.graph, loss, std::span(&w, 1));
  EXPECT_EQ(bench.graph.node_count() - before, 3u) << "seed, broadcast and the gradient of w";
}

TEST(Autodiff, RefusesALossOfMoreThanOneElement) {
  Graph graph;
  const ValueId x = graph.input("x", {2});
  const ValueId y = graph.emit1("relu", {x}, {}, "y");
  EXPECT_THROW(differentiate(graph, y, std::span(&x, 1)), Error);
}

TEST(Autodiff, WantedInnerValueIsNotALeafButHasAGradient) {
  Bench bench;
  const ValueId x = bench.leaf("x", {2}, {2, -2});
  const ValueId y = bench.graph.emit1("relu", {x}, {}, "y");
  const ValueId loss = bench.graph.emit1("reduce_sum", {bench.graph.emit1("mul", {y, y})}, {}, "loss");
  const ValueId wanted[] = {x, y};
  const auto gradients = differentiate(bench.graph, loss, wanted);
  EXPECT_EQ(bench.eval(grad_of(gradients, y)), (Floats{4, 0}));
  EXPECT_EQ(bench.eval(grad_of(gradients, x)), (Floats{4, 0}));
}

}  // namespace
}  // namespace winnow
