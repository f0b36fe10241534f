// Sharpness-aware minimisation, and with it every optimiser that runs a batch twice.
#include <gtest/gtest.h>

#include <cmath>

#include "experiments/run/estimate.h"
#include "tests/training/small_trial.h"
#include "tests/training/whole_trial.h"

namespace winnow {
namespace {

using test::all_weights;
using test::Pairs;
using test::SmallTrial;

Pairs with(Pairs pairs, const Pairs& more) {
  pairs.insert(pairs.end(), more.begin(), more.end());
  return pairs;
}

std::vector<float> all_gradients(Trainer& trainer) {
  std::vector<float> values;
  for (std::size_t p = 0; p < trainer.params().size(); ++p) {
    const auto grad = trainer.params().grad_memory(ParamId(p)).span<float>();
    values.insert(values.end(), grad.begin(), grad.end());
  }
  return values;
}

void set_weights(Trainer& trainer, const std::vector<float>& values) {
  auto from = values.begin();
  for (std::size_t p = 0; p < trainer.params().size(); ++p) {
    const auto weight = trainer.params().change(ParamId(p));
    std::copy_n(from, weight.size(), weight.begin());
    from += static_cast<std::ptrdiff_t>(weight.size());
  }
}

// Equations 2 and 3 of Foret et al., put together from two plain steps on the same batch: the gradient g at w, and that at
// w + rho * g / |g|, by which w moves.
TEST(Sam, AStepIsThatOfThePaper) {
  constexpr double kRho = 0.5;
  const Pairs plain{{"momentum", "0"}, {"lr", "0.1"}}, sam{{"optimizer", "sam"}, {"rho", "0.5"}};
  SmallTrial first("lenet5", {{"name", "dense"}}, plain), second("lenet5", {{"name", "dense"}}, plain),
      whole("lenet5", {{"name", "dense"}}, with(plain, sam));
  Trainer at_w = first.make(), at_point = second.make(), trainer = whole.make();
  for (Trainer* each : {&at_w, &at_point, &trainer}) each->start_phase(0);
  const std::vector<float> start = all_weights(at_w);
  const double loss = at_w.train_step().loss;
  const std::vector<float> g = all_gradients(at_w);
  double norm = 0;
  for (const float x : g) norm += static_cast<double>(x) * static_cast<double>(x);
  norm = std::sqrt(norm);
  std::vector<float> point = start;
  for (std::size_t i = 0; i < point.size(); ++i) point[i] += static_cast<float>(kRho / norm) * g[i];
  set_weights(at_point, point);
  EXPECT_GT(at_point.train_step().loss, loss) << "the point lies uphill";
  const std::vector<float> g2 = all_gradients(at_point);

  const StepReport report = trainer.train_step();
  EXPECT_EQ(report.loss, loss) << "the loss that is reported is that of the weights";
  EXPECT_EQ(report.passes, 2);
  const std::vector<float> got = all_gradients(trainer), moved = all_weights(trainer);
  double worst = 0, worst_step = 0, largest = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    worst = std::max(worst, std::fabs(static_cast<double>(got[i]) - static_cast<double>(g2[i])));
    worst_step = std::max(worst_step, std::fabs(static_cast<double>(moved[i]) -
                                                (static_cast<double>(start[i]) - 0.1 * static_cast<double>(g2[i]))));
    largest = std::max(largest, std::fabs(static_cast<double>(g2[i])));
  }
  EXPECT_LT(worst, 1e-4 * largest);
  EXPECT_LT(worst_step, 1e-5);
  EXPECT_NE(got, g);
}

// Momentum and decay belong to the step, not to the point.
TEST(Sam, ATinyRadiusIsPlainSgd) {
  const Pairs base{{"momentum", "0.9"}, {"weight_decay", "1e-3"}, {"clip_norm", "1"}};
  SmallTrial plain("lenet300", {{"name", "dense"}}, base),
      sam("lenet300", {{"name", "dense"}}, with(base, {{"optimizer", "sam"}, {"rho", "1e-7"}}));
  Trainer a = plain.make(), b = sam.make();
  a.run();
  b.run();
  const std::vector<float> one = all_weights(a), other = all_weights(b);
  double worst = 0;
  for (std::size_t i = 0; i < one.size(); ++i) {
    worst = std::max(worst, std::fabs(static_cast<double>(one[i]) - static_cast<double>(other[i])));
  }
  EXPECT_LT(worst, 1e-3);
}

TEST(Sam, StatisticsAreThoseOfTheFirstPassAlone) {
  const Pairs images{{"height", "16"}, {"width", "16"}, {"channels", "3"}};
  SmallTrial plain("resnet20", {{"name", "dense"}}, {}, images),
      sam("resnet20", {{"name", "dense"}}, {{"optimizer", "sam"}}, images);
  Trainer a = plain.make(), b = sam.make();
  a.start_phase(0);
  b.start_phase(0);
  a.train_step();
  b.train_step();
  for (std::size_t i = 0; i < a.params().buffer_count(); ++i) {
    const auto one = a.params().buffer(i), other = b.params().buffer(i);
    EXPECT_TRUE(std::ranges::equal(one, other)) << a.params().buffer_specs()[i].name;
  }
  EXPECT_NE(all_weights(a), all_weights(b));
}

// Masked and frozen entries have no part in the norm and stay where they are.
TEST(Sam, MasksHoldAndThePointIsTheirs) {
  for (const char* variant : {"snip", "freeze"}) {
    SmallTrial trial("lenet300", {{"name", "freezenet"}, {"density", "0.1"}, {"variant", variant}},
                     {{"optimizer", "sam"}, {"rho", "0.2"}, {"weight_decay", "1e-4"}});
    Trainer trainer = trial.make();
    trainer.start_phase(0);
    const std::vector<float> start = all_weights(trainer);
    for (int i = 0; i < 10; ++i) trainer.train_step();
    std::size_t at = 0;
    for (std::size_t p = 0; p < trainer.params().size(); ++p) {
      const auto weight = trainer.params().weight(ParamId(p));
      const auto keep = trainer.params().mask(ParamId(p), MaskKind::Keep),
                 train = trainer.params().mask(ParamId(p), MaskKind::Trainable);
      for (std::size_t i = 0; i < weight.size(); ++i, ++at) {
        const bool kept = keep.empty() || keep[i] != 0, trained = train.empty() || train[i] != 0;
        ASSERT_TRUE(kept || weight[i] == 0);
        ASSERT_TRUE(trained || weight[i] == start[at]);
      }
    }
  }
}

// A point beyond all numbers ends the trial; the weights are those before the step, and a later trial that takes the
// program over computes with its own.
TEST(Sam, APointThatOverflowsLeavesTheWeights) {
  ProgramCache programs;
  const auto job_of = [&](SmallTrial& trial) {
    TrainJob job = trial.job();
    job.programs = &programs;
    return job;
  };
  SmallTrial far("lenet5", {{"name", "dense"}}, {{"optimizer", "sam"}, {"rho", "1e12"}});
  {
    Trainer trainer(job_of(far));
    trainer.start_phase(0);
    const std::vector<float> before = all_weights(trainer);
    const StepReport report = trainer.train_step();
    EXPECT_TRUE(std::isfinite(report.loss));
    EXPECT_TRUE(report.diverged);
    EXPECT_FALSE(report.updated);
    EXPECT_EQ(all_weights(trainer), before);
  }
  SmallTrial next("lenet5"), alone("lenet5");
  Trainer after(job_of(next)), fresh = alone.make();
  after.run();
  fresh.run();
  EXPECT_GE(programs.reused(), 1);
  EXPECT_EQ(all_weights(after), all_weights(fresh));
}

TEST(Sam, ItsPassesAreCharged) {
  const char* train = "epochs: 2, batch: 32, lr: 0.01, precision: f32, optimizer: sam";
  for (const char* method : {"{name: dense}", "{name: rigl, density: 0.1, delta_t: 3it}"}) {
    const TrialSpec spec = test::spec_of(method, train);
    const TrialResult result = test::result_of(spec);
    ASSERT_EQ(result.outcome, Outcome::Done) << result.reason;
    EXPECT_NEAR(estimate(spec).flops / result.summary.at("flops.train"), 1, 1e-12) << method;
    const double ratio = result.summary.at("flops.train_ratio");
    EXPECT_TRUE(std::string(method) != "{name: dense}" || std::fabs(ratio - 2) < 1e-12) << ratio;
  }
}

TEST(Sam, Learns) {
  SmallTrial trial("lenet300", {{"name", "dense"}}, {{"optimizer", "sam"}, {"epochs", "6"}});
  Trainer trainer = trial.make();
  EXPECT_FALSE(trainer.run().diverged);
  EXPECT_GT(trainer.evaluate(Split::Test).accuracy, 0.84);
}

}  // namespace
}  // namespace winnow
