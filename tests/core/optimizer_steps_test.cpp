#include "kernels/functors/optimizer_steps.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/optimizer.h"
#include "kernels/rng.h"

namespace winnow {
namespace {

using Floats = std::vector<float>;
using Bytes = std::vector<std::uint8_t>;

SgdStep sgd(const Floats& grad, Floats& weight, Floats& velocity) {
  return {.grad = grad.data(),
          .weight = weight.data(),
          .velocity = velocity.data(),
          .keep = nullptr,
          .train = nullptr,
          .lr = 0.1f,
          .momentum = 0.9f,
          .weight_decay = 0.0f,
          .grad_scale = 1.0f,
          .nesterov = false,
          .decay_frozen = false};
}

// Two steps by hand: lr 0.1, momentum 0.9, decay 0.01, gradients 1 and -2 on a weight that starts at 1.
TEST(SgdStep, FollowsPyTorchOverTwoSteps) {
  for (const bool nesterov : {false, true}) {
    double w = 1, v = 0;
    Floats weight{1}, velocity{0}, grad{0};
    SgdStep step = sgd(grad, weight, velocity);
    step.weight_decay = 0.01f;
    step.nesterov = nesterov;
    for (const double g : {1.0, -2.0}) {
      const double d = g + 0.01 * w;
      v = 0.9 * v + d;
      w -= 0.1 * (nesterov ? d + 0.9 * v : v);
      grad[0] = static_cast<float>(g);
      for_each_weight({}, 1, step);
      EXPECT_NEAR(velocity[0], v, 1e-6);
      EXPECT_NEAR(weight[0], w, 1e-6);
    }
  }
}

TEST(SgdStep, ScalesTheGradientButNotTheDecay) {
  Floats grad{8}, weight{2}, velocity{0};
  SgdStep step = sgd(grad, weight, velocity);
  step.grad_scale = 0.25f;
  step.weight_decay = 0.5f;
  for_each_weight({}, 1, step);
  EXPECT_EQ(velocity[0], 3.0f) << "8 / 4 + 0.5 * 2";
}

TEST(SgdStep, PrunedWeightsAndTheirVelocityBecomeZero) {
  Floats grad{1, 1}, weight{5, 5}, velocity{7, 7};
  const Bytes keep{0, 1};
  SgdStep step = sgd(grad, weight, velocity);
  step.keep = keep.data();
  for_each_weight({}, 2, step);
  EXPECT_EQ(weight[0], 0);
  EXPECT_EQ(velocity[0], 0);
  EXPECT_NE(weight[1], 0);
}

TEST(SgdStep, FrozenWeightsKeepTheirBits) {
  Floats grad{1e30f, 1}, weight{0.1f, 0.1f}, velocity{3, 0};
  const Bytes train{0, 1};
  SgdStep step = sgd(grad, weight, velocity);
  step.train = train.data();
  step.weight_decay = 0.1f;
  for (int i = 0; i < 5; ++i) for_each_weight({}, 2, step);
  EXPECT_EQ(weight[0], 0.1f);
  EXPECT_EQ(velocity[0], 0);
  EXPECT_NE(weight[1], 0.1f);
}

TEST(SgdStep, FrozenWeightsDecayWhereAskedTo) {
  Floats grad{1e30f}, weight{1}, velocity{0};
  const Bytes train{0};
  SgdStep step = sgd(grad, weight, velocity);
  step.train = train.data();
  step.weight_decay = 0.5f;
  step.decay_frozen = true;
  for_each_weight({}, 1, step);
  EXPECT_FLOAT_EQ(weight[0], 1 - 0.1f * 0.5f);
}

// A frozen weight that is also pruned is zero.
TEST(SgdStep, PruningWinsOverFreezing) {
  Floats grad{1}, weight{4}, velocity{1};
  const Bytes none{0};
  SgdStep step = sgd(grad, weight, velocity);
  step.keep = step.train = none.data();
  for_each_weight({}, 1, step);
  EXPECT_EQ(weight[0], 0);
  EXPECT_EQ(velocity[0], 0);
}

AdamStep adam(const Floats& grad, Floats& weight, Floats& mean, Floats& square, int t, double decay, bool decoupled) {
  return {.grad = grad.data(),
          .weight = weight.data(),
          .mean = mean.data(),
          .square = square.data(),
          .keep = nullptr,
          .train = nullptr,
          .beta1 = 0.9f,
          .beta2 = 0.999f,
          .epsilon = 1e-8f,
          .grad_scale = 1.0f,
          .weight_decay = static_cast<float>(decoupled ? 0 : decay),
          .shrink = static_cast<float>(decoupled ? 1 - 0.01 * decay : 1),
          .step_size = static_cast<float>(0.01 / (1 - std::pow(0.9, t))),
          .inverse_root_correction = static_cast<float>(1 / std::sqrt(1 - std::pow(0.999, t))),
          .decay_frozen = false};
}

TEST(AdamStep, FollowsPyTorchOverThreeSteps) {
  for (const bool decoupled : {false, true}) {
    double w = 1, m = 0, v = 0;
    Floats weight{1}, mean{0}, square{0}, grad{0};
    int t = 0;
    for (const double g : {0.5, -2.0, 0.1}) {
      ++t;
      if (decoupled) w *= 1 - 0.01 * 0.1;
      const double d = decoupled ? g : g + 0.1 * w;
      m += 0.1 * (d - m);
      v = 0.999 * v + 0.001 * d * d;
      w -= 0.01 / (1 - std::pow(0.9, t)) * m / (std::sqrt(v) / std::sqrt(1 - std::pow(0.999, t)) + 1e-8);
      grad[0] = static_cast<float>(g);
      for_each_weight({}, 1, adam(grad, weight, mean, square, t, 0.1, decoupled));
      EXPECT_NEAR(weight[0], w, 2e-6) << "step " << t;
    }
  }
}

TEST(AdamStep, MasksHoldStateAtZero) {
  Floats grad{1, 1, 1}, weight{2, 2, 2}, mean{1, 1, 0}, square{1, 1, 0};
  const Bytes keep{0, 1, 1}, train{1, 0, 1};
  AdamStep step = adam(grad, weight, mean, square, 1, 0.1, false);
  step.keep = keep.data();
  step.train = train.data();
  for_each_weight({}, 3, step);
  EXPECT_EQ(weight[0], 0) << "pruned";
  EXPECT_EQ(weight[1], 2) << "frozen";
  EXPECT_NE(weight[2], 2);
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
    EXPECT_EQ(mean[i], 0);
    EXPECT_EQ(square[i], 0);
  }
}

// Vector body, tail and thread ranges give what one weight at a time gives.
TEST(OptimizerSteps, LengthAndThreadsDoNotChangeABit) {
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
  SgdStep one = sgd(grad, alone, alone_velocity), all = sgd(grad, together, together_velocity);
  for (SgdStep* step : {&one, &all}) {
    step->keep = keep.data();
    step->train = train.data();
    step->weight_decay = 1e-2f;
    step->nesterov = true;
  }
  for (int repeat = 0; repeat < 3; ++repeat) {
    for (std::size_t i = 0; i < n; ++i) one.update<true, true>(static_cast<std::int64_t>(i));
    for_each_weight({.threads = 4}, static_cast<std::int64_t>(n), all);
  }
  EXPECT_EQ(alone, together);
  EXPECT_EQ(alone_velocity, together_velocity);
}

}  // namespace
}  // namespace winnow
