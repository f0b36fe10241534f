#include "kernels/functors/optimizer_steps.h"

#include <gtest/gtest.h>

#include <cmath>
#include <utility>
#include <vector>

#include "kernels/fold_rows.h"
#include "kernels/optimizer.h"
#include "kernels/rng.h"

namespace winnow {
namespace {

using Floats = std::vector<float>;
using Bytes = std::vector<std::uint8_t>;

// What steps read where it lies.
constexpr double kOne = 1, kNone = 0, kHalf = 0.5, kTenth = 0.1, kHundredth = 0.01, kThousand = 1e3;
constexpr double kMomentum = 0.9, kBeta2 = 0.999, kEpsilon = 1e-8;

// Of an update with learning rate 0.1 and momentum 0.9, in place.
SgdStep sgd(const RunState& run, const Floats& grad, Floats& weight, Floats& velocity) {
  return {{.grad = grad.data(),
           .weight = weight.data(),
           .new_weight = weight.data(),
           .keep = nullptr,
           .train = nullptr,
           .grad_scale = nullptr,
           .run = &run,
           .lr = &kOne,
           .weight_decay = &kNone},
          velocity.data(),
          velocity.data(),
          &kMomentum,
          false};
}

// Learning rate 0.1, the first update.
RunState first_update(double learning_rate = 0.1) {
  RunState run;
  run.feed.learning_rate = learning_rate;
  run.feed.update = 1;
  return run;
}

template <class Step>
void apply(RunState& run, std::int64_t n, const Step& step, int threads = 1) {
  for_each_weight({.threads = threads, .run = &run}, n, step);
}

// Two steps by hand: lr 0.1, momentum 0.9, decay 0.01, gradients 1 and -2 on a weight that starts at 1.
TEST(SgdStep, FollowsPyTorchOverTwoSteps) {
  RunState run = first_update();
  for (const bool nesterov : {false, true}) {
    double w = 1, v = 0;
    Floats weight{1}, velocity{0}, grad{0};
    SgdStep step = sgd(run, grad, weight, velocity);
    step.weight_decay = &kHundredth;
    step.nesterov = nesterov;
    for (const double g : {1.0, -2.0}) {
      const double d = g + 0.01 * w;
      v = 0.9 * v + d;
      w -= 0.1 * (nesterov ? d + 0.9 * v : v);
      grad[0] = static_cast<float>(g);
      apply(run, 1, step);
      EXPECT_NEAR(velocity[0], v, 1e-6);
      EXPECT_NEAR(weight[0], w, 1e-6);
    }
  }
}

TEST(SgdStep, ScalesTheGradientButNotTheDecay) {
  RunState run = first_update();
  Floats grad{8}, weight{2}, velocity{0};
  SgdStep step = sgd(run, grad, weight, velocity);
  const float quarter = 0.25f;
  step.grad_scale = &quarter;
  step.weight_decay = &kHalf;
  apply(run, 1, step);
  EXPECT_EQ(velocity[0], 3.0f) << "8 / 4 + 0.5 * 2";
}

TEST(SgdStep, PrunedWeightsAndTheirVelocityBecomeZero) {
  RunState run = first_update();
  Floats grad{1, 1}, weight{5, 5}, velocity{7, 7};
  const Bytes keep{0, 1};
  SgdStep step = sgd(run, grad, weight, velocity);
  step.keep = keep.data();
  apply(run, 2, step);
  EXPECT_EQ(weight[0], 0);
  EXPECT_EQ(velocity[0], 0);
  EXPECT_NE(weight[1], 0);
}

TEST(SgdStep, FrozenWeightsKeepTheirBits) {
  RunState run = first_update();
  Floats grad{1e30f, 1}, weight{0.1f, 0.1f}, velocity{3, 0};
  const Bytes train{0, 1};
  SgdStep step = sgd(run, grad, weight, velocity);
  step.train = train.data();
  step.weight_decay = &kTenth;
  for (int i = 0; i < 5; ++i) apply(run, 2, step);
  EXPECT_EQ(weight[0], 0.1f);
  EXPECT_EQ(velocity[0], 0);
  EXPECT_NE(weight[1], 0.1f);
}

// A frozen weight that is also pruned is zero.
TEST(SgdStep, PruningWinsOverFreezing) {
  RunState run = first_update();
  Floats grad{1}, weight{4}, velocity{1};
  const Bytes none{0};
  SgdStep step = sgd(run, grad, weight, velocity);
  step.keep = step.train = none.data();
  apply(run, 1, step);
  EXPECT_EQ(weight[0], 0);
  EXPECT_EQ(velocity[0], 0);
}

// Loops of several parameters are the steps of each, whichever masks they have.
TEST(SgdStep, StepsOfManyParametersAreThoseOfEach) {
  RunState run = first_update();
  constexpr std::size_t kParams = 9;
  const Bytes mask{1, 0, 1, 1, 0};
  std::vector<Floats> grad, weight[2], velocity[2];
  std::vector<Loop<SgdStep>> loops;
  for (std::size_t p = 0; p < kParams; ++p) {
    const auto of = static_cast<float>(p);
    grad.push_back({of, 1, -of, 2, 0.5f});
    for (int way : {0, 1}) {
      weight[way].push_back({1, of, 3, -of, 5});
      velocity[way].push_back({0, 1, of, 1, 0});
    }
  }
  for (int way : {0, 1}) {
    for (std::size_t p = 0; p < kParams; ++p) {
      SgdStep step = sgd(run, grad[p], weight[way][p], velocity[way][p]);
      if (p % 2 == 1) step.keep = mask.data();
      if (p % 3 == 1) step.train = mask.data();
      way == 0 ? apply(run, 5, step) : loops.push_back({5, step});
    }
  }
  for_each_weight({.run = &run}, std::span<const Loop<SgdStep>>(loops));
  EXPECT_EQ(weight[0], weight[1]);
  EXPECT_EQ(velocity[0], velocity[1]);
}

using AdamOfEntries = AdamStep<EntrySquares>;

AdamOfEntries adam(const RunState& run, const Floats& grad, Floats& weight, Floats& mean, Floats& square,
                   bool decoupled) {
  return {{.grad = grad.data(),
           .weight = weight.data(),
           .new_weight = weight.data(),
           .keep = nullptr,
           .train = nullptr,
           .grad_scale = nullptr,
           .run = &run,
           .lr = &kOne,
           .weight_decay = &kTenth},
          mean.data(),
          mean.data(),
          {square.data(), square.data()},
          &kMomentum,
          &kBeta2,
          &kEpsilon,
          decoupled};
}

TEST(AdamStep, FollowsPyTorchOverThreeSteps) {
  for (const auto& [decoupled, epsilon] : {std::pair(false, &kEpsilon), {true, &kEpsilon}, {false, &kTenth}}) {
    double w = 1, m = 0, v = 0;
    Floats weight{1}, mean{0}, square{0}, grad{0};
    RunState run = first_update(0.01);
    int t = 0;
    for (const double g : {0.5, -2.0, 0.1}) {
      ++t;
      if (decoupled) w *= 1 - 0.01 * 0.1;
      const double d = decoupled ? g : g + 0.1 * w;
      m += 0.1 * (d - m);
      v = 0.999 * v + 0.001 * d * d;
      w -= 0.01 / (1 - std::pow(0.9, t)) * m / (std::sqrt(v) / std::sqrt(1 - std::pow(0.999, t)) + *epsilon);
      grad[0] = static_cast<float>(g);
      run.feed.update = t;
      AdamOfEntries step = adam(run, grad, weight, mean, square, decoupled);
      step.epsilon = epsilon;
      apply(run, 1, step);
      EXPECT_NEAR(weight[0], w, 2e-6) << "step " << t;
    }
  }
}

TEST(AdamStep, MasksHoldStateAtZero) {
  Floats grad{1, 1, 1}, weight{2, 2, 2}, mean{1, 1, 0}, square{1, 1, 0};
  const Bytes keep{0, 1, 1}, train{1, 0, 1};
  RunState run = first_update(0.01);
  AdamOfEntries step = adam(run, grad, weight, mean, square, false);
  step.keep = keep.data();
  step.train = train.data();
  apply(run, 3, step);
  EXPECT_EQ(weight[0], 0) << "pruned";
  EXPECT_EQ(weight[1], 2) << "frozen";
  EXPECT_NE(weight[2], 2);
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
    EXPECT_EQ(mean[i], 0);
    EXPECT_EQ(square[i], 0);
  }
}

// Adam-mini's first step by gradients 3 and 4 of one row, learning rate 0.1: -0.1 g / sqrt((9 + 16) / 2).
TEST(AdamStep, ARowHasOneSecondMoment) {
  Floats grad{3, 4}, weight{0, 0}, mean{0, 0}, square{0};
  RunState run = first_update(0.1);
  const Exec exec{.threads = 1, .run = &run};
  fold_rows(exec, 1, 2, SquareAndCount{}, LoadRowSquare{grad.data(), nullptr, nullptr, nullptr, 2}, Sum{},
            StoreRowSquare{square.data(), square.data(), &run, &kBeta2}, static_cast<SquareAndCount*>(nullptr));
  AdamOfEntries entries = adam(run, grad, weight, mean, square, true);
  entries.weight_decay = &kNone;
  const UpdateOf& update = entries;
  apply(
      run, 2,
      AdamStep<RowSquares>{update, mean.data(), mean.data(), {square.data(), 2}, &kMomentum, &kBeta2, &kEpsilon, true});
  EXPECT_NEAR(weight[0], -0.084853, 1e-6);
  EXPECT_NEAR(weight[1], -0.113137, 1e-6);
}

// Only entries that are live count: of gradients 3, 4, 100, 200 the masks leave 3 alone, whose square is the mean of all.
TEST(AdamStep, ARowsSecondMomentIsOfItsLiveEntries) {
  const Floats grad{3, 4, 100, 200};
  const Bytes keep{1, 0, 1, 0}, train{1, 1, 0, 0};
  const auto second_moment = [&](const Bytes* kept, const Bytes* trained) {
    RunState run = first_update();
    float square = 0;
    const auto at = [](const Bytes* mask) { return mask != nullptr ? mask->data() : nullptr; };
    fold_rows(Exec{}, 1, 4, SquareAndCount{}, LoadRowSquare{grad.data(), at(kept), at(trained), nullptr, 4}, Sum{},
              StoreRowSquare{&square, &square, &run, &kNone}, static_cast<SquareAndCount*>(nullptr));
    return square;
  };
  EXPECT_EQ(second_moment(&keep, &train), 9.0f);
  EXPECT_EQ(second_moment(&keep, nullptr), (9.0f + 10000.0f) / 2);
  EXPECT_EQ(second_moment(nullptr, &train), 12.5f);
  double live = 0;
  for (std::int64_t i = 0; i < 4; ++i) live += LoadSquare{grad.data(), keep.data(), train.data()}(0, i);
  EXPECT_EQ(live, 9.0);
}

// Of squares 9 and 16 alone, whatever lies behind them: 10 / 5.
TEST(OptimizerSteps, TheScaleOfANormIsOfItsOwnSquares) {
  constexpr double kSquares[] = {9, 16, 1e6}, kTen = 10;
  float scale = 0;
  NormScale{kSquares, 2, &kTen, &scale}(0);
  EXPECT_EQ(scale, 2.0f);
}

// Vector body, tail and thread ranges give what one weight at a time gives.
TEST(OptimizerSteps, LengthAndThreadsDoNotChangeABit) {
  RunState run = first_update();
  const std::size_t n = 70001;
  Floats grad(n), start(n);
  Bytes keep(n), train(n);
  for (std::size_t i = 0; i < n; ++i) {
    grad[i] = uniform_at({3, 1, 0}, i) - 0.5f;
    start[i] = uniform_at({3, 2, 0}, i) - 0.5f;
    keep[i] = uniform_at({3, 3, 0}, i) < 0.6f;
    train[i] = uniform_at({3, 4, 0}, i) < 0.6f;
  }
  Floats alone = start, alone_velocity(n), together = start, together_velocity(n);
  SgdStep one = sgd(run, grad, alone, alone_velocity), all = sgd(run, grad, together, together_velocity);
  for (SgdStep* step : {&one, &all}) {
    step->keep = keep.data();
    step->train = train.data();
    step->weight_decay = &kHundredth;
    step->nesterov = true;
  }
  for (int repeat = 0; repeat < 3; ++repeat) {
    for (std::size_t i = 0; i < n; ++i) one.loaded().update<true, true>(static_cast<std::int64_t>(i));
    apply(run, static_cast<std::int64_t>(n), all, 4);
  }
  EXPECT_EQ(alone, together);
  EXPECT_EQ(alone_velocity, together_velocity);
}

// Overflow marks the run at the step it began; the rest of that update is applied, later ones are not.
TEST(OptimizerSteps, AWeightThatOverflowsStopsLaterUpdates) {
  RunState run = first_update();
  run.feed.step = 7;
  Floats grad{1, 1e38f, 1}, weight{1, -3e38f, 1}, velocity{0, 0, 0};
  SgdStep step = sgd(run, grad, weight, velocity);
  step.lr = &kThousand;
  apply(run, 3, step);
  EXPECT_EQ(run.status.not_finite, 1u);
  EXPECT_EQ(run.status.since, 7u);
  EXPECT_EQ(weight[2], 1 - 100.0f);
  run.status.stopped = run.status.not_finite;  // as Program::run does
  run.feed.step = 8;
  const Floats before = weight, velocity_before = velocity;
  apply(run, 3, step);
  EXPECT_EQ(weight, before);
  EXPECT_EQ(velocity, velocity_before);
  EXPECT_EQ(run.status.since, 7u);
}

// SAM's point: what a mask takes away or keeps from training has no part in it (Foret et al. 2021, equation 2, on live weights).
TEST(SamAscent, LeavesWhatAMaskExcludesWhereItIs) {
  const Floats weight{1, 2, 3, 4}, grad{10, 20, 30, 40};
  const Bytes keep{1, 0, 1, 0}, train{1, 1, 0, 0};
  const float scale = 0.5f;
  const auto point_with = [&](const std::uint8_t* kept, const std::uint8_t* trained) {
    Floats point(weight.size());
    for_each({}, static_cast<std::int64_t>(point.size()),
             Ascend{weight.data(), grad.data(), kept, trained, &scale, point.data()});
    return point;
  };
  EXPECT_EQ(point_with(nullptr, nullptr), (Floats{6, 12, 18, 24}));
  EXPECT_EQ(point_with(keep.data(), nullptr), (Floats{6, 2, 18, 4}));
  EXPECT_EQ(point_with(nullptr, train.data()), (Floats{6, 12, 3, 4}));
  EXPECT_EQ(point_with(keep.data(), train.data()), (Floats{6, 2, 3, 4}));
}

}  // namespace
}  // namespace winnow
