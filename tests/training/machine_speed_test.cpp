// What a core of this machine does in a second, and what estimates of trials make of that.
#include "experiments/run/machine_speed.h"

#include <gtest/gtest.h>

#include "experiments/run/estimate.h"
#include "tests/training/whole_trial.h"

namespace winnow {
namespace {

TEST(MachineSpeed, IsMeasuredOnceAndOfAMachine) {
  const MachineSpeed& speed = machine_speed();
  EXPECT_GT(speed.flops_f32, 1e8);
  EXPECT_LT(speed.flops_f32, 1e13);
  EXPECT_GT(speed.flops_bf16, 1e8);
  EXPECT_GT(speed.bytes, 1e7);
  EXPECT_LT(speed.bytes, 1e13);
  EXPECT_EQ(&speed, &machine_speed());
}

TEST(EstimatedTime, IsThatOfProductsOfBytesAndOfSteps) {
  constexpr double kNoTime = 1e30;
  const auto seconds = [](const char* train, MachineSpeed core, const char* model = "lenet300") {
    return estimate(test::spec_of("{name: dense}", train, "", model, 16), core).seconds;
  };
  const char* const f32 = "epochs: 40it, batch: 32, lr: 0.01, precision: f32";
  const double steps = seconds(f32, {kNoTime, kNoTime, kNoTime});
  const double products = seconds(f32, {1e9, kNoTime, kNoTime}) - steps;
  const double bytes = seconds(f32, {kNoTime, kNoTime, 1e9}) - steps;
  EXPECT_GT(steps, 0);
  EXPECT_GT(products, 0);
  EXPECT_GT(bytes, 0);
  EXPECT_NEAR(seconds(f32, {2e9, 1, 4e9}), steps + products / 2 + bytes / 4, 1e-9);
  EXPECT_NEAR(seconds("epochs: 80it, batch: 32, lr: 0.01, precision: f32", {1e9, 1, 1e9}),
              2 * (steps + products + bytes), 1e-9);
  // Two ranks have half of the examples each, and all weights.
  const auto two = [&](MachineSpeed core) {
    TrialSpec spec = test::spec_of("{name: dense}", f32, "", "lenet300", 16);
    spec.ranks = 2;
    return estimate(spec, core).seconds;
  };
  EXPECT_NEAR(two({1e9, 1, kNoTime}), steps + products / 2, 1e-9);
  EXPECT_GT(two({kNoTime, 1, 1e9}), steps + bytes / 2);
  // bf16: the rate of its products, and half of the bytes of activations.
  const char* const bf16 = "epochs: 40it, batch: 32, lr: 0.01, precision: bf16";
  EXPECT_NEAR(seconds(bf16, {1, 1e9, kNoTime}), steps + products, 1e-9);
  EXPECT_LT(seconds(bf16, {kNoTime, kNoTime, 1e9}), steps + bytes);
}

}  // namespace
}  // namespace winnow
