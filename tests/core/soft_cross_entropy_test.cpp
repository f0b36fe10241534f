#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "tests/core/run_graph.h"

namespace winnow {
namespace {

using test::Bench;
using Floats = std::vector<float>;

// The batch of the specification of born-again networks: a student, its teacher, labels 0 and 1.
const Shape kShape{2, 3};
const Floats kStudent = {1, 0, 0, 0.5f, 0.5f, 0}, kTeacher = {2, 1, 0, 0, 3, 1};

struct SoftLoss {
  float loss;
  Floats gradient;
};

SoftLoss soft_loss(const Shape& shape, const Floats& logits, const Floats& teacher) {
  Bench bench;
  const ValueId x = bench.leaf("logits", shape, logits), t = bench.leaf("teacher", shape, teacher);
  const auto out = bench.graph.emit("soft_cross_entropy", {x, t}, {}, "loss");
  Program program = bench.compile(out);
  program.run(bench.context);
  const auto d = program.view(out[1]).span<float>();
  return {*program.view(out[0]).as<float>(), {d.begin(), d.end()}};
}

TEST(SoftCrossEntropy, GivesTheLossAndGradientOfTheSpecification) {
  const SoftLoss r = soft_loss(kShape, kStudent, kTeacher);
  EXPECT_NEAR(r.loss, 0.95066072, 1e-6);
  const double expected[] = {-0.04456204, -0.01639346, 0.06095549};
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(r.gradient[i], expected[i], 1e-6);
}

// All but the largest probability of each row in another order.
TEST(SoftCrossEntropy, GivesTheLossOfSwappedTails) {
  EXPECT_NEAR(soft_loss(kShape, kStudent, {2, 0, 1, 1, 3, 0}).loss, 0.93261444, 1e-6);
}

TEST(SoftCrossEntropy, HasNoGradientWhereBothAgreeAndNoOverflow) {
  const SoftLoss r = soft_loss({1, 3}, {900, 0, -900}, {900, 0, -900});
  EXPECT_EQ(r.loss, 0);
  EXPECT_EQ(r.gradient, (Floats{0, 0, 0}));
}

TEST(SoftCrossEntropy, ALossThatIsNotFiniteMarksTheRun) {
  Bench bench;
  const ValueId x = bench.leaf("x", {1, 2}, {1, 0}), t = bench.leaf("t", {1, 2}, {INFINITY, 0});
  Program program = bench.compile(bench.graph.emit("soft_cross_entropy", {x, t}, {}, "loss"));
  program.run({.step = 3});
  EXPECT_EQ(program.context().status().not_finite, 1u);
  EXPECT_EQ(program.context().status().since, 3u);
}

TEST(MaxProbability, WeighsTheLabelsLossAsInTheSpecification) {
  Bench bench;
  Graph& graph = bench.graph;
  const ValueId sure = graph.emit1("max_probability", {bench.leaf("teacher", kShape, kTeacher)}, {}, "sure");
  const ValueId share = graph.emit1("divide_by", {sure, graph.emit1("reduce_sum", {sure}, {}, "sum")}, {}, "share");
  const Floats shares = bench.eval(share);
  EXPECT_NEAR(shares[0], 0.44083845, 1e-6);
  EXPECT_NEAR(shares[1], 0.55916155, 1e-6);
  const ValueId x = bench.leaf("x", kShape, kStudent), labels = bench.labels({0, 1});
  // A denominator of 1 makes the mean a sum.
  const Attrs sum{{"denominator", std::int64_t{1}}};
  EXPECT_NEAR(bench.eval(graph.emit("softmax_cross_entropy", {x, labels, share}, sum, "weighted")[0])[0], 0.77878603,
              1e-6);
  EXPECT_NEAR(bench.eval(graph.emit("softmax_cross_entropy", {x, labels}, {}, "plain")[0])[0], 0.75473240, 1e-6);
}

TEST(SoftmaxCrossEntropy, WeightsScaleTheLossAndGradientOfTheirRow) {
  Bench bench;
  const ValueId x = bench.leaf("x", kShape, kStudent), labels = bench.labels({0, 1});
  const auto plain = bench.graph.emit("softmax_cross_entropy", {x, labels}, {}, "plain");
  const auto weighted =
      bench.graph.emit("softmax_cross_entropy", {x, labels, bench.leaf("w", {2}, {3, 0})}, {}, "weighted");
  const Floats before = bench.eval(plain[3]), now = bench.eval(weighted[3]);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(now[i], i < 3 ? 3 * before[i] : 0, 1e-6);
  EXPECT_NEAR(bench.eval(weighted[0])[0], 3 * (std::log(std::exp(1.0) + 2) - 1) / 2, 1e-6);
}

class ShuffleOthers : public testing::Test {
 protected:
  // Of these rows, the first of which stands at `first_row` of the batch.
  static Floats shuffled(const Shape& shape, const Floats& x, std::uint32_t step, std::int64_t first_row = 0) {
    Bench bench;
    bench.context = {.seed = 7, .step = step, .first_row = first_row};
    return bench.eval(bench.graph.emit1("shuffle_others", {bench.leaf("x", shape, x)}, {}, "shuffled"));
  }
};

TEST_F(ShuffleOthers, TheLargestStaysAndTheOthersChangePlaces) {
  const Floats x = {4, 9, 1, 2, 3, 0, 1, 2, 3, 4};
  std::set<Floats> orders;
  for (std::uint32_t step = 0; step < 400; ++step) {
    const Floats y = shuffled({2, 5}, x, step);
    EXPECT_EQ(y[1], 9);
    EXPECT_EQ(y[9], 4);
    for (const std::ptrdiff_t row : {0, 5}) {
      Floats a(x.begin() + row, x.begin() + row + 5), b(y.begin() + row, y.begin() + row + 5);
      std::ranges::sort(a);
      std::ranges::sort(b);
      EXPECT_EQ(a, b);
      orders.insert(Floats(y.begin() + row, y.begin() + row + 5));
    }
  }
  EXPECT_EQ(orders.size(), 2u * 24) << "every order of four, in both rows";
}

TEST_F(ShuffleOthers, ARowHasItsOrderWhateverRankHoldsIt) {
  Floats x;
  for (int i = 0; i < 40; ++i) x.push_back(static_cast<float>(i * 7 % 40));
  const Floats whole = shuffled({4, 10}, x, 3);
  const Floats part = shuffled({2, 10}, Floats(x.begin() + 20, x.end()), 3, 2);
  EXPECT_EQ(Floats(whole.begin() + 20, whole.end()), part);
  EXPECT_NE(shuffled({4, 10}, x, 4), whole) << "anew at each step";
}

}  // namespace
}  // namespace winnow
