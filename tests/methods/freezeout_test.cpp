#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.h"
#include "experiments/run/estimate.h"
#include "tests/methods/trial_tools.h"
#include "tests/training/whole_trial.h"

namespace winnow {
namespace {

using test::Pairs;

// The learning rates of a method on five linear layers at a step of a run of 100,000, with train.lr 0.1.
std::vector<double> rates(const Pairs& settings, std::int64_t step) {
  Model model{.name = "five"};
  ModelBuilder net(model);
  ValueId x = net.flatten(net.input({2, 2, 1, 3}, 1, DType::F32), "flatten");
  for (int i = 1; i <= 4; ++i) x = net.relu(net.linear(x, "fc" + std::to_string(i), 4), "relu" + std::to_string(i));
  net.output(net.linear(x, "fc5", 3));
  Settings method;
  method.set("name", "freezeout");
  for (const auto& [key, text] : settings) method.set(key, text);
  const auto made = make_method(method);
  const Settings train = test::resolved(train_schema(), {});
  GraphEditor editor(model, train);
  made->edit(editor);
  std::vector<double> found;
  for (std::uint32_t p = 0; p < 10; p += 2) {
    found.push_back(0.1 * made->rate(ParamId(p), step, {100000, 1000}));
    EXPECT_EQ(made->rate(ParamId(p), step, {100000, 1000}), made->rate(ParamId(p + 1), step, {100000, 1000})) << "bias";
  }
  return found;
}

void expect_rates(const std::vector<double>& got, const std::vector<double>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 6e-7) << "layer " << i;
}

TEST(FreezeOut, RatesMatchSpecificationOracle) {
  expect_rates(rates({}, 0), {.195312, .162833, .137174, .116635, .1});
  expect_rates(rates({}, 25000), {.101251, .104847, .101074, .093830, .085355});
  expect_rates(rates({{"scaled", "false"}}, 0), {.1, .1, .1, .1, .1});
  expect_rates(rates({{"scaled", "false"}}, 25000),
               {.101251 * .512, .104847 * .614125, .101074 * .729, .093830 * .857375, .085355});
}

// Ends of the layers: 0.512, 0.614125, 0.729, 0.857375 and 1 of the run; 0.64 and 0.8 of the first where the power is less.
TEST(FreezeOut, ALayerIsFrozenWhenItsShareOfTheRunIsOver) {
  const auto trained = [](const Pairs& settings, std::int64_t step) {
    return std::ranges::count_if(rates(settings, step), [](double rate) { return rate > 0; });
  };
  EXPECT_EQ(trained({}, 51199), 5);
  EXPECT_EQ(trained({}, 51201), 4);
  EXPECT_EQ(trained({}, 85737), 2);
  EXPECT_EQ(trained({}, 85738), 1);
  EXPECT_EQ(trained({}, 99999), 1);
  EXPECT_EQ(trained({{"spread", "squared"}}, 63998), 5);
  EXPECT_EQ(trained({{"spread", "squared"}}, 64002), 4);
  EXPECT_EQ(trained({{"spread", "linear"}}, 79998), 5);
  EXPECT_EQ(trained({{"spread", "linear"}}, 80002), 4);
}

// The rate of every parameter after a step, by name.
std::map<std::string, double> rates_of(const std::string& model_name) {
  const ModelDef& def = find_model(model_name);
  Model model = def.build(resolve(def.schema, Settings()), {32, 32, 3, 10}, 1, DType::F32);
  Settings method;
  method.set("name", "freezeout");
  const auto made = make_method(method);
  const Settings train = test::resolved(train_schema(), {});
  GraphEditor editor(model, train);
  made->edit(editor);
  std::map<std::string, double> found;
  for (std::size_t p = 0; p < model.params.size(); ++p) {
    found[model.params[p].name] = made->rate(ParamId(p), 10, {100, 10});
  }
  return found;
}

TEST(FreezeOut, ANormalisationGoesWithItsLayer) {
  std::map<std::string, double> rate = rates_of("resnet20");
  EXPECT_EQ(rate.at("bn1.weight"), rate.at("conv1.weight"));
  EXPECT_GT(rate.at("conv1.weight"), rate.at("fc.weight"));
  EXPECT_EQ(rate.at("fc.bias"), rate.at("fc.weight"));
  for (const auto& [name, value] : rate) EXPECT_GE(value, rate.at("fc.weight")) << name;
}

// Blocks that begin with a normalisation: the first layer has none of its own, the last one belongs to the classifier.
TEST(FreezeOut, TheLastNormalisationOfABlockwiseNetworkGoesWithTheClassifier) {
  const ModelDef& def = find_model("densenet_bc");
  const Model model = def.build(resolve(def.schema, Settings()), {32, 32, 3, 10}, 1, DType::F32);
  std::string last_norm;
  for (const ParamSpec& spec : model.params) {
    if (spec.role == ParamRole::NormScale) last_norm = spec.name;
  }
  std::map<std::string, double> rate = rates_of("densenet_bc");
  EXPECT_EQ(rate.at(last_norm), rate.at("fc.weight"));
}

TEST(FreezeOut, AFrozenLayerKeepsItsBitsAndTheReversePassEndsBehindIt) {
  test::SmallTrial trial =
      test::residual_trial({{"name", "freezeout"}, {"t0", "0.2"}, {"spread", "linear"}, {"scaled", "false"}},
                           {{"lr", "0.02"}, {"epochs", "4"}, {"weight_decay", "1e-3"}});
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  const auto of_bn1 = [&] {
    std::vector<float> values;
    for (std::size_t b = 0; b < 2; ++b) {
      const auto statistic = trainer.params().buffer(b);
      values.insert(values.end(), statistic.begin(), statistic.end());
    }
    return values;
  };
  ASSERT_EQ(trainer.params().buffer_specs()[0].name, "bn1.running_mean");
  const std::int64_t steps = trainer.length().steps, end = steps / 5;
  while (trainer.step() < end) trainer.train_step();
  const std::vector<float> conv1 = test::copy_of(trainer, "conv1.weight"), scale = test::copy_of(trainer, "bn1.weight"),
                           statistics = of_bn1(), fc = test::copy_of(trainer, "fc.weight");
  std::vector<std::int64_t> macs{trainer.training_program().macs()};
  while (trainer.step() < steps) {
    trainer.train_step();
    macs.push_back(trainer.training_program().macs());
  }
  EXPECT_EQ(test::copy_of(trainer, "conv1.weight"), conv1);
  EXPECT_EQ(test::copy_of(trainer, "bn1.weight"), scale);
  EXPECT_EQ(of_bn1(), statistics);
  EXPECT_NE(test::copy_of(trainer, "fc.weight"), fc);
  EXPECT_TRUE(std::ranges::is_sorted(macs, std::ranges::greater()));
  // In the end only the classifier is trained: a step costs little more than its forward pass, a third of the first one's.
  EXPECT_LT(static_cast<double>(macs.back()), 0.36 * static_cast<double>(macs.front()));
}

// LeNet-300-100, layers frozen after a half and three quarters of the run. Forward 266,200 a step; backward twice that of
// the layers that are trained.
TEST(FreezeOut, FrozenLayersAreChargedTheirForwardPassAlone) {
  const TrialSpec spec = test::spec_of("{name: freezeout, t0: 0.5, spread: linear, scaled: false}",
                                       "epochs: 5, batch: 32, lr: 0.01, precision: f32", "", "lenet300", 28);
  const TrialResult result = test::result_of(spec);
  ASSERT_EQ(result.outcome, Outcome::Done) << result.reason;
  const double all = 266200, fc2 = 30000, fc3 = 1000;
  const double expected = (20 * 3 * all + 10 * (all + 2 * (fc2 + fc3)) + 10 * (all + 2 * fc3)) / (40 * 3 * all);
  EXPECT_NEAR(result.summary.at("flops.train_ratio"), expected, 1e-12);
  EXPECT_NEAR(estimate(spec).flops / result.summary.at("flops.train"), 1, 1e-12);
  EXPECT_EQ(result.summary.at("params.trained"), 266610) << "all were";
  const auto& what = std::get<std::vector<std::string>>(result.events.columns[2].values);
  EXPECT_EQ(std::ranges::count(what, "frozen"), 2);
}

// Nothing is ever frozen at t0 = 1, and all layers have one cosine.
TEST(FreezeOut, AShareOfOneIsTheCosineSchedule) {
  test::SmallTrial own("lenet300", {{"name", "freezeout"}, {"t0", "1"}}),
      dense("lenet300", {{"name", "dense"}}, {{"schedule.kind", "cosine"}});
  Trainer a = own.make(), b = dense.make();
  a.run();
  b.run();
  EXPECT_LT(test::largest_difference(test::all_weights(a), test::all_weights(b)), 1e-4);
}

TEST(FreezeOut, LearnsAndIsRefusedBesideASchedule) {
  test::SmallTrial trial = test::residual_trial({{"name", "freezeout"}}, {{"epochs", "8"}});
  Trainer trainer = trial.make();
  EXPECT_FALSE(trainer.run().diverged);
  EXPECT_GT(trainer.evaluate(Split::Test).accuracy, 0.8);
  try {
    test::SmallTrial("lenet300", {{"name", "freezeout"}}, {{"schedule.kind", "cosine"}}).make();
    FAIL() << "two schedules at once";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("schedule.kind must be constant, not cosine"), std::string::npos);
  }
}

}  // namespace
}  // namespace winnow
