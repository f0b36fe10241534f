// Functors that every device shares, by values worked out by hand: where CPU and device run the same source, comparing them says
// nothing of it.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <vector>

#include "kernels/functors/make_images.h"
#include "kernels/functors/optimizer_steps.h"
#include "kernels/functors/score_mask.h"
#include "kernels/functors/softmax_cross_entropy.h"

namespace winnow {
namespace {

TEST(Functors, AMaskKeepsWhatItMarks) {
  const std::array<float, 3> x = {1, 2, 3};
  const std::array<std::uint8_t, 3> mask = {1, 0, 1};
  std::array<float, 3> y = {9, 9, 9};
  for (std::int64_t i = 0; i < 3; ++i) ApplyMask{x.data(), mask.data(), y.data()}(i);
  EXPECT_EQ(y, (std::array<float, 3>{1, 0, 3}));
}

// Two rows of three pixels; a black border comes in from below and from the right, from the left where it is mirrored.
TEST(Functors, AnImageIsCroppedAndMirrored) {
  const std::array<std::uint8_t, 6> bytes = {1, 2, 3, 4, 5, 6};
  const std::array<float, 3> scale = {1, 1, 1}, shift = {0, 0, 0};
  const std::array<ImageChoice, 2> rows = {{{0, 7, 1, 1, 0}, {0, 8, 0, 1, 1}}};
  std::vector<float> images(12);
  std::array<std::int32_t, 2> labels{};
  const MakeImages make{bytes.data(), scale.data(), shift.data(), rows.data(), 2, 3, 1, images.data(), labels.data()};
  for (std::int64_t i = 0; i < 12; ++i) make(i);
  EXPECT_EQ(images, (std::vector<float>{5, 6, 0, 0, 0, 0, 0, 3, 2, 0, 6, 5}));
  EXPECT_EQ(labels, (std::array<std::int32_t, 2>{7, 8}));
}

TEST(Functors, GradientsAreScaledToTheNormOfSoManyTensors) {
  const std::array<double, 3> squares = {9, 16, 1e6};
  const double most = 1;
  float scale = 0;
  ClipScale{squares.data(), 2, &most, &scale}(0);
  EXPECT_NEAR(scale, 0.2, 1e-6);
}

// As PyTorch, which adds 1e-6 to the norm: 5e-6 here.
TEST(Functors, GradientsAreScaledToASmallNorm) {
  const std::array<double, 2> squares = {9e-12, 16e-12};
  const double most = 1.5e-6;
  float scale = 0;
  ClipScale{squares.data(), 2, &most, &scale}(0);
  EXPECT_NEAR(scale, 0.25, 1e-6);
}

TEST(Functors, ARowWhoseLabelIsNoClassHasNoGradientAndLeavesItsNeighbourAlone) {
  const std::array<float, 3> logits = {1, 2, 3};
  const double smoothing = 0;
  const MeanRows mean{};
  for (const std::int32_t label : {-1, 3}) {
    std::array<float, 4> gradient = {9, 9, 9, 9};
    float loss = 9;
    std::int32_t rank = 9;
    RunState run;
    SoftmaxCrossEntropyRow<float>{logits.data(), &label,          nullptr, 3,     &smoothing,
                                  &mean,         gradient.data(), &loss,   &rank, &run}(0);
    EXPECT_EQ(gradient, (std::array<float, 4>{0, 0, 0, 9}));
    EXPECT_EQ(loss, 0);
    EXPECT_EQ(rank, -1);
    EXPECT_EQ(run.status.bad_label != RunStatus::kNoLabel, label == 3) << "-1 is of a row that does not count";
  }
}

TEST(Functors, LossesAndHitsAreSummed) {
  const std::array<float, 3> losses = {1, 2, 4};
  const std::array<std::int32_t, 3> ranks = {0, 4, 5};
  const LoadLoss load{losses.data(), ranks.data()};
  LossSums sums = load(0, 0);
  for (std::int64_t row = 1; row < 3; ++row) sums = AddLosses{}(sums, load(0, row));
  sums = AddLosses{}(sums, sums);
  EXPECT_EQ(sums.loss, 14);
  EXPECT_EQ(sums.correct, 2);
  EXPECT_EQ(sums.correct5, 4);
}

}  // namespace
}  // namespace winnow
