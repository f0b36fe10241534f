// Learned step size quantisation (Esser et al. 2020): the numbers of its specification, and the stored form of a weight that
// is derived.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/codebook.h"
#include "core/error.h"
#include "experiments/accounting/stored_bits.h"
#include "experiments/results/trial_file.h"
#include "tests/core/run_graph.h"
#include "tests/methods/trial_tools.h"
#include "tests/training/whole_trial.h"

namespace winnow {
namespace {

using test::Pairs;
using test::SmallTrial;

constexpr const char* kLsqTraining = "epochs: 2, batch: 32, lr: 0.05, precision: f32, eval_batch: 50";

Attrs three_bits() { return {{"low", std::int64_t{-4}}, {"high", std::int64_t{3}}}; }

TEST(Lsq, ValuesAndGradientsMatchSpecificationOracle) {
  test::Bench bench;
  const ValueId v = bench.leaf("v", {6}, {-1.3f, -.2f, .07f, .4f, .9f, 2}), s = bench.leaf("s", {1}, {.5f});
  const ValueId w = bench.graph.emit1("lsq", {v, s}, three_bits(), "w");
  test::expect_near(bench.eval(w), {-1.5f, 0, 0, .5f, 1, 1.5f});
  const auto grads = bench.gradients(w, {1, -2, .5f, 1, 3, -1}, {v, s});
  test::expect_near(grads[0], {1, -2, .5f, 1, 3, 0});
  test::expect_near(grads[1], {-.81788684f});
}

// v / s is 0.5, 1.5, 2.5 and -0.5: half goes to the even level, and no level is a negative zero.
TEST(Lsq, RoundsHalfToEvenAndHasNoNegativeZero) {
  test::Bench bench;
  const ValueId v = bench.leaf("v", {4}, {.25f, .75f, 1.25f, -.25f}), s = bench.leaf("s", {1}, {.5f});
  const std::vector<float> w = bench.eval(bench.graph.emit1("lsq", {v, s}, three_bits(), "w"));
  EXPECT_EQ(w, (std::vector<float>{0, 1, 1, 0}));
  for (const float each : w) EXPECT_FALSE(std::signbit(each));
}

// With what rounding adds held fixed, the surrogate is a derivative.
TEST(Lsq, GradientsAreThoseOfTheSurrogateWhoseRoundingIsFixed) {
  const std::vector<float> v{-1.3f, -.2f, .07f, .4f, .9f, 2}, g{1, -2, .5f, 1, 3, -1};
  const double s = .5, low = -4, high = 3;
  std::vector<double> rest;
  for (const float each : v) {
    const double r = std::clamp(static_cast<double>(each) / s, low, high);
    rest.push_back(std::nearbyint(r) - r);
  }
  const auto loss = [&](const std::vector<double>& at, double step) {
    double sum = 0;
    for (std::size_t i = 0; i < at.size(); ++i) {
      sum += static_cast<double>(g[i]) * step * (std::clamp(at[i] / step, low, high) + rest[i]);
    }
    return sum;
  };
  test::Bench bench;
  const ValueId leaf = bench.leaf("v", {6}, v), step = bench.leaf("s", {1}, {.5f});
  const auto grads = bench.gradients(bench.graph.emit1("lsq", {leaf, step}, three_bits(), "w"), g, {leaf, step});
  constexpr double kMove = 1e-6;
  std::vector<double> at(v.begin(), v.end());
  for (std::size_t i = 0; i < at.size(); ++i) {
    std::vector<double> up = at, down = at;
    up[i] += kMove;
    down[i] -= kMove;
    EXPECT_NEAR(static_cast<double>(grads[0][i]), (loss(up, s) - loss(down, s)) / (2 * kMove), 1e-6);
  }
  const double scale = 1 / std::sqrt(6 * high);
  EXPECT_NEAR(static_cast<double>(grads[1][0]), scale * (loss(at, s + kMove) - loss(at, s - kMove)) / (2 * kMove),
              1e-6);
}

TEST(Lsq, TheFirstStepIsThatOfTheSpecification) {
  SmallTrial trial("lenet300", {{"name", "lsq"}, {"bits", "3"}});
  std::vector<float>& v = trial.start["fc2.weight"];
  for (int i = 0; i < 5000; ++i) v.insert(v.end(), {-1.3f, -.2f, .07f, .4f, .9f, 2});
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  EXPECT_NEAR(static_cast<double>(test::copy_of(trainer, "fc2.step")[0]), .93723194, 1e-6);
  for (const ParamSpec& spec : trainer.model().params) {
    EXPECT_FALSE(spec.name == "fc1.step" || spec.name == "fc3.step") << "first and last stay";
  }
}

TEST(Lsq, AStepStaysPositive) {
  auto trial = test::residual_trial({{"name", "lsq"}, {"bits", "2"}}, {{"lr", "1e6"}, {"momentum", "0"}});
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  trainer.train_step();
  int at_least = 0;
  for (std::size_t p = 0; p < trainer.params().size(); ++p) {
    if (!trainer.params().specs()[p].name.ends_with(".step")) continue;
    EXPECT_GE(trainer.params().weight(ParamId(p))[0], 1e-8f);
    at_least += trainer.params().weight(ParamId(p))[0] == 1e-8f ? 1 : 0;
  }
  EXPECT_GT(at_least, 0) << "the rate must be one that would take some below zero";
}

TEST(Lsq, AStepGoesOnFromAStartFile) {
  SmallTrial first("lenet300", {{"name", "lsq"}});
  Trainer trained = first.make();
  trained.start_phase(0);
  for (int i = 0; i < 5; ++i) trained.train_step();
  SmallTrial second("lenet300", {{"name", "lsq"}});
  for (std::size_t p = 0; p < trained.params().size(); ++p) {
    const auto values = trained.params().weight(ParamId(p));
    second.start[trained.params().specs()[p].name].assign(values.begin(), values.end());
  }
  Trainer again = second.make();
  again.start_phase(0);
  EXPECT_EQ(test::copy_of(again, "fc2.step"), test::copy_of(trained, "fc2.step"));
}

// What a file holds of a derived weight is what its layer computes with, and the network from the file is the one that was
// evaluated.
TEST(Lsq, AResultHoldsTheNetworkThatWasEvaluated) {
  for (const char* method :
       {"{name: lsq, bits: 3, keep: []}", "{name: snip, density: 0.2, with: {lsq: {bits: 4, keep: [last]}}}"}) {
    SCOPED_TRACE(method);
    const TrialResult result = test::result_of(method, kLsqTraining);
    ASSERT_EQ(result.outcome, Outcome::Done) << result.reason;
    const auto path = std::filesystem::path(testing::TempDir()) / ("lsq-" + std::to_string(getpid()) + ".h5");
    PosixFiles files;
    files.replace(path, std::span<const std::byte>(encode_trial(result, "2026-11-21T12:00:00Z")));
    const std::vector<WeightRecord> weights = load_weights(path);
    std::filesystem::remove(path);

    SmallTrial plain("lenet300", {{"name", "dense"}}, {{"batch", "32"}},
                     {{"height", "14"},
                      {"width", "14"},
                      {"channels", "1"},
                      {"examples", "320"},
                      {"test_examples", "100"},
                      {"validation", "64"}});
    Trainer trainer = plain.make();
    trainer.start_phase(0);
    int encoded = 0;
    for (std::size_t p = 0; p < trainer.params().size(); ++p) {
      const std::string& name = trainer.params().specs()[p].name;
      const auto record = std::ranges::find(weights, name, &WeightRecord::name);
      ASSERT_NE(record, weights.end()) << name;
      std::ranges::copy(record->values, trainer.params().change(ParamId(p)).begin());
      const auto written = std::ranges::find(result.weights, name, &WeightRecord::name);
      if (!written->encoded) continue;
      ++encoded;
      const std::set<float> levels(record->values.begin(), record->values.end());
      EXPECT_LE(static_cast<double>(levels.size()), written->encoded->attributes.at("levels"));
      EXPECT_GT(levels.size(), 2u);
    }
    EXPECT_EQ(encoded, std::string(method).find("last") == std::string::npos ? 3 : 2);
    EXPECT_EQ(trainer.evaluate(Split::Test).loss, result.summary.at("final.test_loss"));
  }
}

// Codes and a step for each layer; beside a mask, also which entries are kept.
TEST(Lsq, StoredBitsAreThoseOfTheCodes) {
  for (const char* method :
       {"{name: lsq, bits: 3, keep: []}", "{name: snip, density: 0.2, with: {lsq: {bits: 3, keep: []}}}"}) {
    const TrialResult result = test::result_of(method, kLsqTraining);
    std::int64_t expected = 0;
    for (const WeightRecord& weight : result.weights) {
      const std::int64_t numel = weight.shape.numel(), kept = numel - std::ranges::count(weight.keep, 0);
      if (weight.name.ends_with(".step")) continue;  // counted with the codes
      expected += weight.prunable ? 3 * kept + 32 + selection_bits(numel, kept) : 32 * numel;
    }
    EXPECT_EQ(result.summary.at("stored.bits_by_tensor"), static_cast<double>(expected)) << method;
  }
}

// A method whose form of a derived weight is of other values.
class Wrong final : public Method {
 public:
  explicit Wrong(Method& inner) : inner_(inner) {}
  Touches touches() const override { return inner_.touches(); }
  void edit(GraphEditor& editor) override { inner_.edit(editor); }
  Verdict on_event(const Moment& moment, TrainState& state) override { return inner_.on_event(moment, state); }
  std::optional<Encoded> encode(ParamId id, const ParamStore& params) override {
    if (!params.specs()[static_cast<std::size_t>(id)].derived) return std::nullopt;
    const std::vector<std::uint32_t> codes(params.weight(id).size(), 0);
    return codebook(codes, {1, 2}, 2);
  }

 private:
  Method& inner_;
};

TEST(Lsq, AFormOfOtherValuesThanTheLayersIsAnError) {
  SmallTrial trial("lenet300", {{"name", "lsq"}}, {{"epochs", "1"}});
  Wrong wrong(trial.method());
  Trainer trainer(test::with_method(trial, wrong));
  try {
    trainer.run();
    ADD_FAILURE() << "nobody noticed";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Internal);
    EXPECT_NE(std::string(error.what()).find("'fc2.weight'"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace winnow
