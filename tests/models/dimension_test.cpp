// Dimensions of the trained set over a run, against the survey's oracle.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "experiments/models/registry.h"
#include "experiments/run/trial_recorder.h"
#include "tests/methods/fake_state.h"

namespace winnow {
namespace {

// Keeps `count` entries of the last layer from `first` on, and nothing else.
void keep_only(FakeState& state, std::size_t first, std::size_t count) {
  const std::vector<ParamId> prunable = state.prunable();
  for (const ParamId id : prunable) {
    std::vector<std::uint8_t> bits(state.params().weight(id).size(), 0);
    if (id == prunable.back()) std::fill_n(bits.begin() + static_cast<int>(first), count, 1);
    state.params().replace_mask(id, MaskKind::Keep, bits);
  }
}

TEST(Dimension, TwoDisjointMasksMatchSpecificationOracle) {
  const ModelDef& def = find_model("lenet300");
  const Model model = def.build(resolve(def.schema, Settings()), {28, 28, 1, 10}, 1, DType::F32);
  TrialSpec spec;
  spec.settings.set("save.metrics.every", "1");
  spec.settings.set("train.batch", "32");
  const RunTrialOptions options;
  TrialRecorder recorder(spec, model, model, options, nullptr);
  FakeState state(model);
  keep_only(state, 0, 4);
  recorder.phase_started(Phase{.last_step = 50}, state);
  keep_only(state, 6, 4);
  recorder.masks_changed(state);
  TrialResult result;
  recorder.finish(result, {50, 50});
  EXPECT_EQ(result.summary.at("dim.max"), 4);
  EXPECT_EQ(result.summary.at("dim.union"), 8);
}

// What a step is charged, in multiply-adds of one example: masks as it began, and exact zeros where there is no mask,
// which are seen at an evaluation.
TEST(TrainingCost, FollowsMasksAtTheNextStepAndZerosAtTheNextEvaluation) {
  const ModelDef& def = find_model("lenet300");
  const Model model = def.build(resolve(def.schema, Settings()), {28, 28, 1, 10}, 1, DType::F32);
  TrialSpec spec;
  spec.settings.set("save.metrics.every", "1");
  spec.settings.set("train.batch", "1");
  const RunTrialOptions options;
  TrialRecorder recorder(spec, model, model, options, nullptr);
  FakeState state(model);
  recorder.phase_started(Phase{.last_step = 3}, state);
  double before = 0;
  const auto charged = [&](const std::function<void()>& at_its_end = [] {}) {
    recorder.step_started();
    at_its_end();
    recorder.step_done({});
    TrialResult result;
    recorder.finish(result, {3, 3});
    return result.summary.at("flops.train") / 2 - std::exchange(before, result.summary.at("flops.train") / 2);
  };
  const auto zero_first_layer = [&](std::size_t kept) {
    const auto weights = state.params().change(ParamId(0));
    std::fill(weights.begin() + static_cast<std::ptrdiff_t>(kept), weights.end(), 0.0f);
  };
  EXPECT_EQ(charged([&] { zero_first_layer(1000); }), 3.0 * 266200);
  EXPECT_EQ(charged([&] { recorder.epoch_done({}); }), 3.0 * 266200);
  EXPECT_EQ(charged([&] {
              std::vector<std::uint8_t> keep(235200, 0);
              std::fill_n(keep.begin(), 500, 1);
              state.params().replace_mask(ParamId(0), MaskKind::Keep, keep);
              recorder.masks_changed(state);
            }),
            2.0 * 32000 + 266200)
      << "zeros without a mask still take their gradient";
  EXPECT_EQ(charged(), 3.0 * 31500);
}

// A network that loses weights to zeros without a mask: the accuracy it had while it was denser is not its best one.
TEST(BestAccuracy, IsOfEpochsInWhichTheNetworkWasNotDenser) {
  const ModelDef& def = find_model("lenet300");
  const Model model = def.build(resolve(def.schema, Settings()), {28, 28, 1, 10}, 1, DType::F32);
  TrialSpec spec;
  spec.settings.set("save.metrics.every", "1");
  spec.settings.set("train.batch", "1");
  const RunTrialOptions options;
  TrialRecorder recorder(spec, model, model, options, nullptr);
  FakeState state(model);
  recorder.phase_started(Phase{.last_step = 4}, state);
  const auto evaluated = [&](double epoch, double accuracy) {
    EpochReport report;
    report.epoch = epoch;
    report.test.accuracy = accuracy;
    recorder.epoch_done(report);
    TrialResult result;
    recorder.finish(result, {4, 1});
    return std::pair(result.summary.at("best.test_acc"), result.summary.at("best.epoch"));
  };
  const auto zero = [&](std::size_t count) { std::ranges::fill(state.params().change(ParamId(0)).first(count), 0.0f); };
  EXPECT_EQ(evaluated(1, 0.9), std::pair(0.9, 1.0));
  zero(20);  // of 266,200: single zeros come and go
  EXPECT_EQ(evaluated(2, 0.8), std::pair(0.9, 1.0));
  zero(100000);
  EXPECT_EQ(evaluated(3, 0.6), std::pair(0.6, 3.0));
  EXPECT_EQ(evaluated(4, 0.5), std::pair(0.6, 3.0));
}

}  // namespace
}  // namespace winnow
