// Exponential discretisation (Malsagov et al. 2019): the numbers of its specification, and that a result holds the network
// that was evaluated.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.h"
#include "experiments/accounting/stored_bits.h"
#include "experiments/methods/registry.h"
#include "experiments/results/trial_file.h"
#include "fake_state.h"
#include "tests/methods/trial_tools.h"
#include "tests/training/whole_trial.h"

namespace winnow {
namespace {

using test::Pairs;
using test::SmallTrial;

const std::vector<float> kWeights = {0.02f, -0.11f, 0.3f, -0.62f, 1, 0};

std::unique_ptr<Method> exponential_with(const Pairs& settings) {
  return find_method("exponential").make(test::resolved(find_method("exponential").schema, settings));
}

struct Stored {
  std::optional<Encoded> form;
  std::vector<float> values;
  Facts facts;
};

Stored stored(const std::vector<float>& weights, Pairs settings, const std::vector<std::uint8_t>& keep = {}) {
  settings.emplace_back("keep", "[]");
  FakeState state(linear_layers({{1, static_cast<std::int64_t>(weights.size())}}));
  state.set_weight(0, weights);
  if (!keep.empty()) state.params().replace_mask(ParamId(0), MaskKind::Keep, keep);
  const auto method = exponential_with(settings);
  Stored result{method->encode(ParamId(0), state.params()), {}, {}};
  if (result.form) result.values = decode(*result.form, {1, std::ssize(weights)}, keep);
  method->report(state, result.facts);
  return result;
}

// Levels by weight, as the specification numbers them: 0 is the largest.
std::vector<int> indices(const Stored& of, double ratio) {
  std::vector<int> found;
  for (const float value : of.values) {
    found.push_back(static_cast<int>(std::lround(std::log(std::fabs(value)) / std::log(ratio))));
  }
  return found;
}

TEST(Exponential, GivesTheLevelsErrorAndCorrelationOfTheSpecification) {
  const Stored half = stored(kWeights, {{"bits", "3"}, {"ratio", "0.5"}});
  EXPECT_EQ(indices(half, 0.5), (std::vector<int>{3, 3, 2, 1, 0, 3}));
  EXPECT_NEAR(half.facts.at("method.squared_error"), 0.043775, 1e-7);
  EXPECT_NEAR(half.facts.at("method.least_correlation"), 0.99135958, 1e-7);
  EXPECT_EQ(half.values, (std::vector<float>{0.125f, -0.125f, 0.25f, -0.5f, 1, 0.125f})) << "0 counts as positive";

  const Stored smaller = stored(kWeights, {{"bits", "3"}, {"ratio", "0.4"}});
  EXPECT_EQ(indices(smaller, 0.4), (std::vector<int>{3, 3, 1, 1, 0, 3}));
  EXPECT_NEAR(smaller.facts.at("method.squared_error"), 0.066548, 1e-7);
  EXPECT_NEAR(smaller.facts.at("method.least_correlation"), 0.99482324, 1e-7);
}

TEST(Exponential, CountsBitsForEachKeptWeightAnd64BesideThem) {
  EXPECT_EQ(stored(kWeights, {{"bits", "3"}}).form->bits, 3 * 6 + 64);
  EXPECT_EQ(stored(kWeights, {{"bits", "5"}}, {1, 0, 1, 0, 1, 1}).form->bits, 5 * 4 + 64);
}

TEST(Exponential, TheSearchIsNoWorseThanAnyRatioAndTheObjectivesDisagree) {
  const auto figure = [](const Pairs& settings, const char* fact) { return stored(kWeights, settings).facts.at(fact); };
  const double correlation = figure({{"bits", "3"}}, "method.least_correlation");
  const double error = figure({{"bits", "3"}, {"objective", "error"}}, "method.squared_error");
  for (int percent = 5; percent < 100; percent += 5) {
    const Pairs fixed = {{"bits", "3"}, {"ratio", std::to_string(percent / 100.0)}};
    EXPECT_GE(correlation, figure(fixed, "method.least_correlation") - 2e-3) << percent;
    EXPECT_LE(error, figure(fixed, "method.squared_error") + 2e-3) << percent;
  }
  EXPECT_GT(figure({{"bits", "3"}}, "method.squared_error"), error);
}

TEST(Exponential, EquallyNearLevelsGiveTheLarger) {
  EXPECT_EQ(stored({1, 0.75f, -0.75f, 0.375f}, {{"bits", "3"}, {"ratio", "0.5"}}).values,
            (std::vector<float>{1, 1, -1, 0.5f}));
}

TEST(Exponential, ZerosOneValueAndSingleWeightsHaveAForm) {
  EXPECT_EQ(stored({0, 0, 0}, {}).values, (std::vector<float>{0, 0, 0}));
  EXPECT_EQ(stored({0.5f, 0.5f, -0.5f}, {}).values, (std::vector<float>{0.5f, 0.5f, -0.5f}));
  EXPECT_EQ(stored({-3}, {{"bits", "2"}}).values, (std::vector<float>{-3}));
  EXPECT_EQ(stored({1, 2, 3}, {}, {0, 0, 0}).values, (std::vector<float>{0, 0, 0}));
}

TEST(Exponential, LayersAreKeptByName) {
  const auto encodes = [](const Pairs& settings, std::size_t layer) {
    FakeState state(linear_layers({{4, 4}, {4, 4}, {4, 4}}));
    return exponential_with(settings)->encode(ParamId(layer), state.params()).has_value();
  };
  for (std::size_t layer = 0; layer < 3; ++layer) {
    EXPECT_EQ(encodes({}, layer), layer == 1) << "first and last stay";
    EXPECT_TRUE(encodes({{"keep", "[]"}}, layer));
    EXPECT_EQ(encodes({{"keep", "[fc2]"}}, layer), layer != 1);
  }
  EXPECT_THROW(encodes({{"keep", "[fc9]"}}, 0), Error);
}

TEST(Exponential, IsRefusedWhereAnotherMethodComputesTheWeights) {
  for (const char* other : {"compander", "interspace", "edge_popup"}) {
    try {
      SmallTrial trial("lenet5", {{"name", "exponential"}, {std::string("with.") + other, "on"}});
      trial.make();
      ADD_FAILURE() << other;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::Settings);
      EXPECT_NE(std::string(error.what()).find("conv1.weight"), std::string::npos) << error.what();
    }
  }
}

// From the file alone: the network that was evaluated, and what it takes to store.
TEST(Exponential, AResultHoldsTheNetworkThatWasEvaluated) {
  for (const char* method : {"{name: exponential, bits: 3, keep: []}",
                             "{name: magnitude, density: 0.1, with: {exponential: {bits: 4, keep: [last]}}}"}) {
    const TrialResult result =
        test::result_of(method, "epochs: 4, batch: 32, lr: 0.05, precision: f32, eval_batch: 50");
    ASSERT_EQ(result.outcome, Outcome::Done) << result.reason;
    const auto path = std::filesystem::path(testing::TempDir()) / ("exponential-" + std::to_string(getpid()) + ".h5");
    PosixFiles files;
    files.replace(path, std::span<const std::byte>(encode_trial(result, "2026-11-21T12:00:00Z")));
    const std::vector<WeightRecord> weights = load_weights(path);
    std::filesystem::remove(path);

    SmallTrial again("lenet300", {{"name", "dense"}}, {{"batch", "32"}},
                     {{"height", "14"},
                      {"width", "14"},
                      {"channels", "1"},
                      {"examples", "320"},
                      {"test_examples", "100"},
                      {"validation", "64"}});
    Trainer trainer = again.make();
    trainer.start_phase(0);
    int encoded = 0;
    for (std::size_t p = 0; p < trainer.params().size(); ++p) {
      const std::string& name = trainer.params().specs()[p].name;
      const auto record = std::ranges::find(weights, name, &WeightRecord::name);
      ASSERT_NE(record, weights.end());
      std::ranges::copy(record->values, trainer.params().change(ParamId(p)).begin());
      const auto written = std::ranges::find(result.weights, name, &WeightRecord::name);
      EXPECT_EQ(record->values, written->values) << name;
      if (!written->encoded) continue;
      ++encoded;
      std::set<float> magnitudes;
      for (std::size_t i = 0; i < record->values.size(); ++i) {
        const bool kept = written->keep.empty() || written->keep[i] != 0;
        EXPECT_EQ(kept, record->values[i] != 0) << "there is no level zero, and what is dropped stays dropped";
        if (kept) magnitudes.insert(std::fabs(record->values[i]));
      }
      EXPECT_LE(magnitudes.size(), written->encoded->attributes.at("levels") / 2);
    }
    EXPECT_EQ(encoded, std::string(method).find("last") == std::string::npos ? 3 : 2);
    EXPECT_EQ(trainer.evaluate(Split::Test).accuracy, result.summary.at("final.test_acc"));
    EXPECT_EQ(trainer.evaluate(Split::Test).loss, result.summary.at("final.test_loss"));
    EXPECT_EQ(result.summary.at("best.test_acc"), result.summary.at("final.test_acc"))
        << "the network before it was discretised does not lend its accuracy";
    EXPECT_GT(result.summary.at("final.train_loss"), 0);
  }
}

TEST(Exponential, StoredBitsAreThoseOfTheCodes) {
  const TrialResult result = test::result_of("{name: exponential, bits: 3, keep: []}");
  std::int64_t expected = 0;
  for (const WeightRecord& weight : result.weights) {
    expected += weight.prunable ? 3 * weight.shape.numel() + 64 : 32 * weight.shape.numel();
  }
  EXPECT_EQ(result.summary.at("stored.bits_by_tensor"), static_cast<double>(expected));
  EXPECT_EQ(result.summary.at("stored.bits"), static_cast<double>(expected));

  // Beside a mask: which entries are kept, by the cheaper of bit and index.
  const TrialResult pruned =
      test::result_of("{name: magnitude, density: 0.1, scope: layer, with: {exponential: {bits: 4, keep: []}}}");
  expected = 0;
  for (const WeightRecord& weight : pruned.weights) {
    const std::int64_t numel = weight.shape.numel(), kept = numel - std::ranges::count(weight.keep, 0);
    expected += weight.prunable ? 4 * kept + 64 + selection_bits(numel, kept) : 32 * numel;
  }
  EXPECT_EQ(pruned.summary.at("stored.bits_by_tensor"), static_cast<double>(expected));
}

}  // namespace
}  // namespace winnow
