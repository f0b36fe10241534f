// HASTE: evaluation with merged channels, training and what is stored as without it.
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "experiments/methods/toolkit/haste_cost.h"
#include "tests/methods/trial_tools.h"
#include "tests/training/whole_trial.h"

namespace winnow {
namespace {

using test::Pairs;
using test::result_of;
using test::SmallTrial;
using test::spec_of;

TEST(HasteCost, MatchesTheSpecificationsExample) {
  const HastePatch patch{
      .channels = 64, .filters = 64, .taps = 9, .tile = 3, .patch = 25, .bits = 14, .zeros = 2.0 / 3};
  EXPECT_NEAR(haste_operations(patch, 26), 303722.7, 0.05);
  EXPECT_EQ(dense_operations(patch), 663552);
}

TEST(Haste, TrainingIsThatOfTheDenseNetworkBitForBit) {
  SmallTrial plain = test::residual_trial({{"name", "dense"}}),
             merged = test::residual_trial({{"name", "haste"}, {"bits", "2"}});
  Trainer a = plain.make(), b = merged.make();
  a.run();
  b.run();
  EXPECT_EQ(test::all_weights(a), test::all_weights(b));
  const Evaluation exact = a.evaluate(Split::Test), merging = b.evaluate(Split::Test);
  EXPECT_NE(exact.loss, merging.loss) << "with two bits channels that differ are merged";
  EXPECT_TRUE(exact.observed.empty());
  EXPECT_EQ(merging.observed.size(), 18u) << "all convolutions of ResNet-20 but the first";
}

// Channels whose codes agree in 32 bits are almost the same.
TEST(Haste, ManyBitsGiveAlmostTheExactNetwork) {
  const auto loss = [](const Pairs& method) {
    SmallTrial trial = test::residual_trial(method);
    Trainer trainer = trial.make();
    trainer.start_phase(0);
    return trainer.evaluate(Split::Test).loss;
  };
  const double exact = loss({{"name", "dense"}});
  const auto error = [&](const char* bits) {
    return std::abs(loss({{"name", "haste"}, {"bits", bits}, {"vectors", "gaussian"}}) - exact);
  };
  const double many = error("32");
  EXPECT_LT(many, 0.01 * exact);
  EXPECT_GT(error("1"), 10 * many);
}

constexpr const char* kHasteTraining = "epochs: 2, batch: 32, lr: 0.02, precision: f32";

TEST(Haste, ReportsWhatEvaluationSavesAndStoresTheWholeNetwork) {
  const TrialResult dense = result_of(spec_of("{name: dense}", kHasteTraining, "", "lenet5", 28));
  double last = 1;
  for (const char* bits : {"0", "4", "14"}) {
    const TrialResult result =
        result_of(spec_of(std::string("{name: haste, bits: ") + bits + "}", kHasteTraining, "", "lenet5", 28));
    ASSERT_EQ(result.outcome, Outcome::Done) << result.reason;
    for (const char* same : {"density", "params.kept", "stored.bits", "macs.sparse", "flops.train"}) {
      EXPECT_EQ(result.summary.at(same), dense.summary.at(same)) << same;
    }
    EXPECT_EQ(result.summary.at("method.layers"), 1);
    const double compression = result.summary.at("method.channel_compression");
    EXPECT_LT(compression, last) << bits;
    last = compression;
    if (std::string(bits) != "0") continue;
    // One channel of 20 is left on each of 9 patches: 8x8 places in tiles of 3.
    EXPECT_NEAR(compression, 0.95, 1e-12);
    const HastePatch patch{
        .channels = 20, .filters = 50, .taps = 25, .tile = 3, .patch = 49, .bits = 0, .zeros = 2.0 / 3};
    const double all = 2 * (24.0 * 24 * 20 * 25 + 64.0 * 50 * 20 * 25 + 500 * 800 + 5000),
                 conv = 2 * 64.0 * 50 * 20 * 25;
    EXPECT_NEAR(result.summary.at("method.flops_reduction"), (conv - 9 * haste_operations(patch, 1)) / all, 1e-12);
  }
}

TEST(Haste, RefusesANetworkWithoutSuchConvolutions) {
  const DataShape digits{28, 28, 1, 10};
  EXPECT_THROW(test::edited_model("lenet300", {}, {{"name", "haste"}}, digits), Error);
  EXPECT_THROW(test::edited_model("lenet5", {}, {{"name", "haste"}, {"min_channels", "21"}}, digits), Error);
  EXPECT_NO_THROW(test::edited_model("lenet5", {}, {{"name", "haste"}}, digits));
}

}  // namespace
}  // namespace winnow
