#include <gtest/gtest.h>

#include <cmath>

#include "core/autodiff.h"
#include "core/error.h"
#include "tests/core/run_graph.h"

namespace winnow {
namespace {

using test::Bench;
using Floats = std::vector<float>;

struct Result {
  float loss;
  std::int32_t correct, correct5;
  Floats dlogits;
};

Result loss_of(const Shape& shape, const Floats& logits, const std::vector<std::int32_t>& labels, Attrs attrs = {}) {
  Bench bench;
  const ValueId x = bench.leaf("logits", shape, logits);
  const auto out = bench.graph.emit("softmax_cross_entropy", {x, bench.labels(labels)}, std::move(attrs), "loss");
  Program program = bench.compile(out);
  program.run(bench.context);
  const auto d = program.view(out[3]).span<float>();
  return {*program.view(out[0]).as<float>(),
          *program.view(out[1]).as<std::int32_t>(),
          *program.view(out[2]).as<std::int32_t>(),
          {d.begin(), d.end()}};
}

TEST(SoftmaxCrossEntropy, HandComputedLossAndGradient) {
  const Result r = loss_of({2, 2}, {0, std::log(3.0f), 0, 0}, {1, 0});
  EXPECT_NEAR(r.loss, (std::log(4.0 / 3) + std::log(2.0)) / 2, 1e-6);
  const Floats expected{0.125f, -0.125f, -0.25f, 0.25f};
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(r.dlogits[i], expected[i], 1e-6);
}

// PyTorch: cross_entropy(label_smoothing=0.1) spreads 0.1 over all classes, the true one included.
TEST(SoftmaxCrossEntropy, SmoothingSpreadsOverAllClasses) {
  const Result r = loss_of({1, 4}, {1, 2, 3, 4}, {2}, {{"label_smoothing", 0.1}});
  const double log_sum = std::log(std::exp(1) + std::exp(2) + std::exp(3) + std::exp(4));
  EXPECT_NEAR(r.loss, 0.9 * (log_sum - 3) + 0.1 * (log_sum - 2.5), 1e-5);
  EXPECT_NEAR(r.dlogits[2], std::exp(3 - log_sum) - 0.925, 1e-5);
  EXPECT_NEAR(r.dlogits[0], std::exp(1 - log_sum) - 0.025, 1e-5);
}

TEST(SoftmaxCrossEntropy, RowsWithoutALabelDoNotCount) {
  const Result padded = loss_of({3, 3}, {1, 2, 3, 9, 9, 9, 3, 1, 0}, {2, -1, 1});
  const Result plain = loss_of({2, 3}, {1, 2, 3, 3, 1, 0}, {2, 1});
  EXPECT_FLOAT_EQ(padded.loss, plain.loss);
  EXPECT_EQ(padded.correct, plain.correct);
  EXPECT_EQ(padded.correct5, 2);
  for (const std::size_t i : {3, 4, 5}) EXPECT_EQ(padded.dlogits[i], 0);
}

TEST(SoftmaxCrossEntropy, ABatchOfPaddingHasLossZero) {
  const Result r = loss_of({2, 3}, {1, 2, 3, 4, 5, 6}, {-1, -1});
  EXPECT_EQ(r.loss, 0);
  EXPECT_EQ(r.correct, 0);
}

TEST(SoftmaxCrossEntropy, PartsOfABatchSumToItsMean) {
  const Floats first{1, 2, 3}, second{0, 5, 1}, both{1, 2, 3, 0, 5, 1};
  const Attrs two{{"denominator", std::int64_t{2}}};
  const Result whole = loss_of({2, 3}, both, {0, 1}), a = loss_of({1, 3}, first, {0}, two),
               b = loss_of({1, 3}, second, {1}, two);
  EXPECT_FLOAT_EQ(whole.loss, a.loss + b.loss);
  EXPECT_EQ(Floats(whole.dlogits.begin(), whole.dlogits.begin() + 3), a.dlogits);
  EXPECT_EQ(Floats(whole.dlogits.begin() + 3, whole.dlogits.end()), b.dlogits);
}

TEST(SoftmaxCrossEntropy, TiesGoToTheLowerClass) {
  EXPECT_EQ(loss_of({2, 3}, {1, 1, 0, 1, 1, 0}, {0, 1}).correct, 1);
  EXPECT_EQ(loss_of({2, 7}, Floats(14, 0.5f), {4, 5}).correct5, 1);
}

TEST(SoftmaxCrossEntropy, TopFiveOfFiveOrFewerClassesIsEveryValidRow) {
  EXPECT_EQ(loss_of({3, 3}, {1, 2, 3, 1, 2, 3, 1, 2, 3}, {0, 1, -1}).correct5, 2);
}

TEST(SoftmaxCrossEntropy, LargeLogitsStayFinite) {
  const Result r = loss_of({1, 3}, {1e4f, -1e4f, 0}, {1});
  EXPECT_FLOAT_EQ(r.loss, 2e4f);
  for (const float d : r.dlogits) EXPECT_TRUE(std::isfinite(d));
}

TEST(SoftmaxCrossEntropy, NaNIsNotACorrectAnswer) {
  const Result r = loss_of({1, 3}, Floats(3, NAN), {0});
  EXPECT_TRUE(std::isnan(r.loss));
  EXPECT_EQ(r.correct, 0);
}

TEST(SoftmaxCrossEntropy, ALabelOutsideTheClassesIsAnErrorThatSaysWhere) {
  try {
    loss_of({2, 3}, Floats(6), {0, 3});
    FAIL() << "must not run";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), "node 'loss': label 3 of row 1 is not below the 3 classes");
  }
}

TEST(SoftmaxCrossEntropy, TheFirstBadRowIsNamedOnce) {
  Bench bench;
  const ValueId x = bench.leaf("x", {3, 2});
  const auto out = bench.graph.emit("softmax_cross_entropy", {x, bench.labels({0, 9, 7})}, {}, "loss");
  Program program = bench.compile(out);
  try {
    program.run();
    FAIL() << "must not run";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), "node 'loss': label 9 of row 1 is not below the 2 classes");
  }
  EXPECT_NO_THROW(program.check());
}

TEST(SoftmaxCrossEntropy, ALossThatIsNotFiniteMarksTheRun) {
  for (const float logit : {1.0f, INFINITY}) {
    Bench bench;
    const ValueId x = bench.leaf("x", {1, 2}, {logit, 0});
    const auto out = bench.graph.emit("softmax_cross_entropy", {x, bench.labels({0})}, {}, "loss");
    Program program = bench.compile(out);
    program.run({.step = 3});
    EXPECT_EQ(program.context().status().not_finite, logit > 1 ? 1u : 0u);
    EXPECT_EQ(program.context().status().since, logit > 1 ? 3u : 0u);
  }
}

TEST(SoftmaxCrossEntropy, ReverseScalesBySeed) {
  Bench bench;
  const ValueId x = bench.leaf("x", {1, 2}, {0, 0});
  const auto out = bench.graph.emit("softmax_cross_entropy", {x, bench.labels({0})}, {}, "loss");
  const ValueId twice = bench.graph.emit1("add", {out[0], out[0]});
  const auto gradients = differentiate(bench.graph, twice, std::span(&x, 1));
  EXPECT_EQ(bench.eval(gradients[0].grad), (Floats{-1, 1}));
}

}  // namespace
}  // namespace winnow
