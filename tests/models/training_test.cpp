// The wider models train, every parameter takes part, and the methods that prune work on their kinds of layers.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/density.h"
#include "tests/methods/trial_tools.h"

namespace winnow {
namespace {

using test::Pairs;
using test::SmallTrial;

struct Small {
  std::string model;
  Pairs settings;
  Pairs train;
};

std::ostream& operator<<(std::ostream& out, const Small& small) { return out << small.model; }

const std::vector<Small> kModels = {
    {"mobilenet_v1", {{"width", "0.25"}}, {{"lr", "0.02"}}},
    {"densenet_bc", {{"depth", "22"}, {"growth", "8"}}, {{"lr", "0.02"}}},
    {"cct2_3x2", {}, {{"optimizer", "adamw"}, {"lr", "0.001"}}},
};

class WiderModel : public testing::TestWithParam<Small> {
 protected:
  SmallTrial trial(Pairs method, const std::string& precision = "f32") const {
    Pairs train = {{"epochs", "3"}};
    train.insert(train.end(), GetParam().train.begin(), GetParam().train.end());
    train.emplace_back("precision", precision);
    return SmallTrial(GetParam().model, std::move(method), std::move(train), test::kSmallImages, GetParam().settings);
  }
  static void expect_falling(const std::vector<double>& losses) {
    for (const double loss : losses) ASSERT_TRUE(std::isfinite(loss));
    const auto third = static_cast<std::ptrdiff_t>(losses.size() / 3);
    EXPECT_LT(std::accumulate(losses.end() - third, losses.end(), 0.0),
              0.9 * std::accumulate(losses.begin(), losses.begin() + third, 0.0));
  }
  static std::vector<double> train(SmallTrial& small) {
    Trainer trainer = small.make();
    trainer.start_phase(0);
    std::vector<double> losses;
    for (int i = 0; i < 30; ++i) losses.push_back(trainer.train_step().loss);
    return losses;
  }
};

TEST_P(WiderModel, LearnsSmallImages) {
  SmallTrial small = trial({{"name", "dense"}});
  expect_falling(train(small));
}

TEST_P(WiderModel, LearnsInBf16WhereTheProcessorHasIt) {
  SmallTrial small = trial({{"name", "dense"}}, "auto");
  expect_falling(train(small));
}

TEST_P(WiderModel, EveryParameterMoves) {
  SmallTrial small = trial({{"name", "dense"}});
  Trainer trainer = small.make();
  trainer.start_phase(0);
  std::vector<std::vector<float>> before;
  for (std::size_t p = 0; p < trainer.params().size(); ++p) {
    const auto weight = trainer.params().weight(ParamId(p));
    before.emplace_back(weight.begin(), weight.end());
  }
  for (int i = 0; i < 3; ++i) trainer.train_step();
  for (std::size_t p = 0; p < before.size(); ++p) {
    const auto weight = trainer.params().weight(ParamId(p));
    EXPECT_FALSE(std::equal(weight.begin(), weight.end(), before[p].begin())) << trainer.params().specs()[p].name;
  }
}

TEST_P(WiderModel, IsPrunedToTheCountsThatItsLayersGive) {
  for (const char* name : {"rigl", "gmp", "snip"}) {
    Pairs method = {{"name", name}, {"density", "0.3"}};
    if (name == std::string("rigl")) method.emplace_back("delta_t", "5it");
    if (name == std::string("gmp")) method.emplace_back("interval", "2it");
    SmallTrial small = trial(method);
    Trainer trainer = small.make();
    trainer.run();
    const auto tensors = pruned_tensors(trainer);
    Settings given;
    for (const auto& [key, text] : method) {
      if (key != "name") given.set(key, text);
    }
    const Settings settings = resolve(find_method(name).schema, given);
    const auto target = density_target(settings, tensors, scope_of(settings)).counts(tensors);
    std::int64_t kept = 0, expected = target.shared;
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      kept += trainer.params().live(tensors[t].id);
      expected += target.own[t].value_or(0);
      if (target.own[t]) {
        EXPECT_EQ(trainer.params().live(tensors[t].id), *target.own[t]) << name << " " << tensors[t].name;
      }
    }
    EXPECT_EQ(kept, expected) << name;
  }
}

std::string name_of_case(const testing::TestParamInfo<Small>& small) { return small.param.model; }
INSTANTIATE_TEST_SUITE_P(Models, WiderModel, testing::ValuesIn(kModels), name_of_case);

TEST(Depthwise, KernelsSoThinStayDenseUnderErk) {
  // {C, 1, 3, 3} has more in (in + out + height + width) / (entries) than any layer around it.
  const Model model = test::edited_model("mobilenet_v1", {{"width", "0.5"}}, {{"name", "dense"}}, {32, 32, 3, 10});
  const auto tensors = pruned_tensors(model.params);
  Settings given;
  given.set("density", "0.1");
  const Settings settings = resolve(find_method("rigl").schema, given);
  const auto counts = density_target(settings, tensors, Scope::Layer).counts(tensors);
  std::int64_t depthwise = 0, kept = 0, all = 0;
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    kept += *counts.own[t];
    all += tensors[t].numel;
    if (tensors[t].shape.rank() != 4 || tensors[t].shape[1] != 1) continue;
    ++depthwise;
    EXPECT_EQ(*counts.own[t], tensors[t].numel) << tensors[t].name;
  }
  EXPECT_EQ(depthwise, 13);
  EXPECT_NEAR(static_cast<double>(kept) / static_cast<double>(all), 0.1, 1e-3);
}

TEST(Depthwise, FanInIsThatOfOneChannel) {
  const Model model = test::edited_model("mobilenet_v1", {}, {{"name", "dense"}}, {32, 32, 3, 10});
  for (const ParamSpec& spec : model.params) {
    if (spec.name == "stage0.block0.conv1.weight") {
      EXPECT_EQ(spec.shape, (Shape{32, 1, 3, 3}));
      EXPECT_EQ(spec.init.fan_in, 9);
    }
  }
}

}  // namespace
}  // namespace winnow
