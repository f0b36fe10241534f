// Adam-mini, and with it optimisers whose state has a shape of its own.
#include <gtest/gtest.h>

#include <cmath>

#include "core/optimizer.h"
#include "tests/training/small_trial.h"

namespace winnow {
namespace {

using test::Pairs;
using test::SmallTrial;

const Pairs kTrain{{"optimizer", "adam_mini"}, {"lr", "0.01"}, {"weight_decay", "0.1"}};

// The rows of weights, and a vector as one row.
struct Rows {
  std::int64_t count, cols;
  explicit Rows(const Shape& shape)
      : count(shape.rank() > 1 ? shape[0] : 1), cols(shape.numel() / std::max<std::int64_t>(count, 1)) {}
};

TEST(AdamMini, KeepsASecondMomentARow) {
  SmallTrial trial("lenet5", {{"name", "dense"}}, kTrain);
  Trainer trainer = trial.make();
  const ParamStore& params = trainer.params();
  for (std::size_t p = 0; p < params.size(); ++p) {
    const Shape& shape = params.specs()[p].shape;
    ASSERT_EQ(params.slot_count(ParamId(p)), 2);
    EXPECT_EQ(params.slot_shape(ParamId(p), 0), shape);
    EXPECT_EQ(params.slot_shape(ParamId(p), 1).rank(), shape.rank());
    EXPECT_EQ(params.slot_shape(ParamId(p), 1).numel(), Rows(shape).count) << params.specs()[p].name;
  }
}

// Three steps of the paper's algorithm 1 in double, from the gradients that the trainer has computed; half of the entries
// are masked, and the mean square of a row is that of the others.
TEST(AdamMini, StepsAreThoseOfThePaper) {
  SmallTrial trial("lenet5", {{"name", "dense"}}, kTrain);
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  ParamStore& params = trainer.params();
  std::vector<std::vector<double>> weights(params.size()), means(params.size()), squares(params.size());
  for (std::size_t p = 0; p < params.size(); ++p) {
    const auto numel = static_cast<std::size_t>(params.specs()[p].shape.numel());
    if (params.specs()[p].shape.rank() > 1) {
      std::vector<std::uint8_t> keep(numel);
      for (std::size_t i = 0; i < numel; ++i) keep[i] = i % 3 != 0;
      params.replace_mask(ParamId(p), MaskKind::Keep, keep);
    }
    const auto w = params.weight(ParamId(p));
    weights[p].assign(w.begin(), w.end());
    means[p].resize(numel);
    squares[p].resize(static_cast<std::size_t>(Rows(params.specs()[p].shape).count));
  }
  for (int t = 1; t <= 3; ++t) {
    trainer.train_step();
    for (std::size_t p = 0; p < params.size(); ++p) {
      const Rows rows(params.specs()[p].shape);
      const auto grad = params.grad_memory(ParamId(p)).span<float>();
      const auto mask = params.mask(ParamId(p), MaskKind::Keep);
      for (std::int64_t row = 0; row < rows.count; ++row) {
        double sum = 0, live = 0;
        for (auto i = static_cast<std::size_t>(row * rows.cols); i < static_cast<std::size_t>((row + 1) * rows.cols);
             ++i) {
          if (!mask.empty() && mask[i] == 0) continue;
          sum += static_cast<double>(grad[i]) * static_cast<double>(grad[i]);
          ++live;
        }
        double& square = squares[p][static_cast<std::size_t>(row)];
        square = 0.999 * square + 0.001 * sum / live;
        for (auto i = static_cast<std::size_t>(row * rows.cols); i < static_cast<std::size_t>((row + 1) * rows.cols);
             ++i) {
          double &w = weights[p][i], &m = means[p][i];
          if (!mask.empty() && mask[i] == 0) continue;
          w *= 1 - 0.01 * 0.1;
          m = 0.9 * m + 0.1 * static_cast<double>(grad[i]);
          w -= 0.01 * m / (1 - std::pow(0.9, t)) / (std::sqrt(square / (1 - std::pow(0.999, t))) + 1e-8);
          ASSERT_NEAR(params.weight(ParamId(p))[i], w, 1e-5 * (1 + std::abs(w)))
              << params.specs()[p].name << " " << i << " in step " << t;
        }
      }
    }
  }
}

// A row whose entries are all pruned moves nothing, and is no division by zero.
TEST(AdamMini, ARowWithoutEntriesRests) {
  SmallTrial trial("lenet300", {{"name", "dense"}}, kTrain);
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  ParamStore& params = trainer.params();
  const Rows rows(params.specs()[0].shape);
  std::vector<std::uint8_t> keep(static_cast<std::size_t>(rows.count * rows.cols), 1);
  std::fill_n(keep.begin(), rows.cols, std::uint8_t{0});
  params.replace_mask(ParamId(0), MaskKind::Keep, keep);
  for (int t = 0; t < 3; ++t) EXPECT_TRUE(std::isfinite(trainer.train_step().loss));
  EXPECT_EQ(params.slot(ParamId(0), 1)[0], 0.0f);
  EXPECT_GT(params.slot(ParamId(0), 1)[1], 0.0f);
  for (std::int64_t i = 0; i < rows.cols; ++i) ASSERT_EQ(params.weight(ParamId(0))[static_cast<std::size_t>(i)], 0.0f);
}

TEST(AdamMini, Learns) {
  SmallTrial trial("lenet300", {{"name", "dense"}}, {{"optimizer", "adam_mini"}, {"lr", "0.001"}, {"epochs", "6"}});
  Trainer trainer = trial.make();
  EXPECT_FALSE(trainer.run().diverged);
  EXPECT_GT(trainer.evaluate(Split::Test).accuracy, 0.84);
}

}  // namespace
}  // namespace winnow
