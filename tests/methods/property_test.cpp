// The ten properties every masked method must have, tested for all registered methods from this one
// place: a new method is picked up by its registry entry. Real training on synthetic images, and
// unit states where a property is about scores.
#include <gtest/gtest.h>
#include <algorithm>

#include <cmath>

#include "core/error.h"
#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/density.h"
#include "fake_state.h"
#include "tests/training/small_trial.h"

namespace winnow {
namespace {

using test::all_weights;
using test::Pairs;
using test::SmallTrial;

std::vector<std::string> masked_methods() {
  std::vector<std::string> names;
  for (const MethodDef& def : methods()) {
    // A method that chooses inside the graph, by scores that it trains, sets no masks; it has its own tests.
    if (def.touches.masks && !def.touches.weights_source) names.push_back(def.name);
  }
  return names;
}

// Masked methods whose choices, or whose first choice, come from weights or gradients: what is
// drawn at random has no score that could be wrong, and no ties to break.
std::vector<std::string> masked_methods_without(const std::vector<std::string>& random) {
  std::vector<std::string> names = masked_methods();
  std::erase_if(names,
                [&](const std::string& name) { return std::find(random.begin(), random.end(), name) != random.end(); });
  return names;
}
std::vector<std::string> scoring_methods() { return masked_methods_without({"random"}); }
std::vector<std::string> methods_that_score_first() { return masked_methods_without({"random", "set", "rigl"}); }

// Settings that make a method act several times within 40 steps and start from the model's own weights.
Pairs settings_of(const std::string& name, const std::string& density) {
  Pairs settings = {{"name", name}, {"density", density}};
  const Pairs short_run = {{"delta_t", "5it"}, {"interval", "5it"}, {"iterations", "5"}, {"rate", "0.6"}};
  for (const Setting& setting : find_method(name).schema) {
    for (const auto& [key, value] : short_run) {
      if (setting.key == key) settings.emplace_back(key, value);
    }
    const auto& choices = setting.choices;
    const bool own_init = std::find(choices.begin(), choices.end(), "model") != choices.end();
    if (setting.key == "init" && own_init) settings.emplace_back("init", "model");
  }
  return settings;
}

Settings resolved_settings(const std::string& name, const std::string& density) {
  Settings settings;
  for (const auto& [key, value] : settings_of(name, density)) {
    if (key != "name") settings.set(key, value);
  }
  return resolve(find_method(name).schema, settings);
}

const std::vector<MaskKind> kKinds = {MaskKind::Keep, MaskKind::Trainable};

// Entries that live, by prunable tensor.
std::vector<std::int64_t> live_counts(Trainer& trainer) {
  std::vector<std::int64_t> counts;
  for (const ParamId id : trainer.prunable()) counts.push_back(trainer.params().live(id));
  return counts;
}

std::int64_t sum(const std::vector<std::int64_t>& values) {
  std::int64_t total = 0;
  for (const std::int64_t value : values) total += value;
  return total;
}

// No dropped entry has a value, none that is not trained has optimiser state or has moved from `start`.
void expect_masked_state(Trainer& trainer, const std::vector<std::vector<float>>& start) {
  ParamStore& params = trainer.params();
  for (const ParamId id : trainer.prunable()) {
    const auto keep = params.mask(id, MaskKind::Keep), train = params.mask(id, MaskKind::Trainable);
    const auto weight = params.weight(id);
    const auto& first = start.at(static_cast<std::size_t>(id));
    std::int64_t wrong = 0;
    for (std::size_t i = 0; i < weight.size(); ++i) {
      const bool kept = keep.empty() || keep[i] != 0, trained = train.empty() || train[i] != 0;
      wrong += !kept && weight[i] != 0;
      wrong += kept && !trained && weight[i] != first[i];
      for (int s = 0; s < params.slot_count(id); ++s) {
        wrong += !(kept && trained) && params.slot(id, s)[i] != 0;
      }
    }
    ASSERT_EQ(wrong, 0) << params.specs()[static_cast<std::size_t>(id)].name;
  }
}

std::vector<std::vector<float>> weights_by_param(Trainer& trainer) {
  std::vector<std::vector<float>> values;
  for (std::size_t p = 0; p < trainer.params().size(); ++p) {
    const auto weight = trainer.params().weight(ParamId(p));
    values.emplace_back(weight.begin(), weight.end());
  }
  return values;
}

class MaskedMethod : public testing::TestWithParam<std::string> {
 protected:
  const std::string& name() const { return GetParam(); }
  const MethodDef& def() const { return find_method(name()); }
  Pairs settings(const std::string& density = "0.2") const { return settings_of(name(), density); }
};

TEST_P(MaskedMethod, P1TheCountRuleHoldsExactlyAtTheEnd) {
  for (const char* density : {"0.2", "0.05"}) {
    SmallTrial trial("lenet300", settings(density), {{"weight_decay", "1e-4"}});
    Trainer trainer = trial.make();
    trainer.run();
    const auto tensors = pruned_tensors(trainer);
    const Settings given = resolved_settings(name(), density);
    std::int64_t all = 0;
    for (const PrunedTensor& tensor : tensors) all += tensor.numel;
    const auto live = live_counts(trainer);
    if (scope_of(given) == Scope::Global) {
      EXPECT_EQ(sum(live), kept_count(all, sparsity_of(given.real("density")))) << density;
      continue;
    }
    const auto expected = density_target(given, tensors, Scope::Layer).counts(tensors).own;
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      EXPECT_EQ(live[t], expected[t]) << tensors[t].name << " at " << density;
    }
  }
}

TEST_P(MaskedMethod, P2P3MaskedEntriesAreInertAndCountsNeverRiseAfterEveryStep) {
  for (const char* optimizer : {"sgd", "adam"}) {
    SmallTrial trial("lenet300", settings(),
                     {{"optimizer", optimizer},
                      {"lr", std::string(optimizer) == "sgd" ? "0.05" : "0.001"},
                      {"weight_decay", "1e-4"}});
    Trainer trainer = trial.make();
    trainer.start_phase(0);
    const auto start = weights_by_param(trainer);
    auto before = live_counts(trainer);
    for (int i = 0; i < 30; ++i) {
      trainer.train_step();
      expect_masked_state(trainer, start);
      const auto now = live_counts(trainer);
      for (std::size_t t = 0; t < now.size(); ++t) EXPECT_LE(now[t], before[t]);
      before = now;
    }
  }
}

// Training itself repeats bit for bit at one number of threads only: the library that computes
// convolutions splits sums by thread. What a method chooses before training must not depend on it.
TEST_P(MaskedMethod, P4ChoicesDoNotDependOnThreadsAndTrainingRepeats) {
  std::vector<std::vector<float>> start, end;
  std::vector<std::uint64_t> chosen, masks;
  for (const int threads : {1, 2, 2}) {
    SmallTrial trial("lenet5", settings());
    trial.threads = threads;
    Trainer trainer = trial.make();
    trainer.start_phase(0);
    chosen.push_back(trainer.params().mask_digest());
    start.push_back(all_weights(trainer));
    for (int i = 0; i < 7 && threads > 1; ++i) trainer.train_step();
    masks.push_back(trainer.params().mask_digest());
    end.push_back(all_weights(trainer));
  }
  EXPECT_EQ(chosen[0], chosen[1]);
  EXPECT_EQ(start[0], start[1]);
  EXPECT_EQ(masks[1], masks[2]);
  EXPECT_EQ(end[1], end[2]);
  EXPECT_NE(start[1], end[1]);
}

TEST_P(MaskedMethod, P5ASavedStateGoesOnAsIfNothingHappened) {
  SmallTrial trial("lenet300", settings());
  Trainer whole = trial.make();
  whole.start_phase(0);
  for (int i = 0; i < 11; ++i) whole.train_step();
  MemoryState state;
  whole.save(state);

  SmallTrial other("lenet300", settings());
  Trainer resumed = other.make();
  resumed.start_phase(0);
  resumed.load(state);
  EXPECT_TRUE(state.unread().empty());
  for (int i = 0; i < 15; ++i) {
    whole.train_step();
    resumed.train_step();
    ASSERT_EQ(whole.params().mask_digest(), resumed.params().mask_digest()) << i;
  }
  EXPECT_EQ(all_weights(whole), all_weights(resumed));
}

TEST_P(MaskedMethod, P6FullDensityIsTheDenseRunBitForBit) {
  SmallTrial masked("lenet300", settings("1")), dense("lenet300");
  Trainer a = masked.make(), b = dense.make();
  const auto ended_a = a.run(), ended_b = b.run();
  EXPECT_EQ(all_weights(a), all_weights(b));
  EXPECT_EQ(ended_a.step, ended_b.step);
  EXPECT_EQ(ended_a.skipped, 0);
}

TEST_P(MaskedMethod, P7ChoosingAMaskLeavesWeightsStatisticsAndBatchesAlone) {
  const Pairs images = {{"height", "16"}, {"width", "16"}, {"channels", "3"}};
  SmallTrial masked("resnet20", settings(), {}, images);
  SmallTrial dense("resnet20", {{"name", "dense"}}, {}, images);
  Trainer a = masked.make(), b = dense.make();
  a.start_phase(0);
  b.start_phase(0);
  for (std::size_t p = 0; p < a.params().size(); ++p) {
    const auto now = a.params().weight(ParamId(p)), before = b.params().weight(ParamId(p));
    const auto keep = a.params().mask(ParamId(p), MaskKind::Keep);
    for (std::size_t i = 0; i < now.size(); ++i) {
      ASSERT_EQ(now[i], !keep.empty() && keep[i] == 0 ? 0 : before[i]);
    }
  }
  for (std::size_t i = 0; i < a.params().buffer_count(); ++i) {
    const auto now = a.params().buffer(i), before = b.params().buffer(i);
    EXPECT_TRUE(std::equal(now.begin(), now.end(), before.begin()));
  }
  // The dense network on the masked one's start values must see the same batch, and so the same loss.
  for (std::size_t p = 0; p < a.params().size(); ++p) {
    const auto values = a.params().weight(ParamId(p));
    std::copy(values.begin(), values.end(), b.params().weight(ParamId(p)).begin());
  }
  EXPECT_EQ(a.train_step().loss, b.train_step().loss);
}

TEST_P(MaskedMethod, P8EmptyAndFullLayersDoNotStopTraining) {
  // Eight entries of 266,200 remain: most layers are empty under a global scope.
  SmallTrial trial("lenet300", settings("0.00003"));
  Trainer trainer = trial.make();
  EXPECT_FALSE(trainer.run().diverged);
  for (const float weight : all_weights(trainer)) ASSERT_TRUE(std::isfinite(weight));
}

// Every moment at which a method may choose, on a state without training.
void drive(Method& method, FakeState& state) {
  method.on_event(begin(), state);
  method.on_event({When::AfterBackward, 0, 0, 0}, state);
  for (const std::int64_t step : {200, 750}) {
    state.at_step = step;
    method.on_event({When::AfterStep, step, step / 100, 0}, state);
  }
  method.on_event({When::EpochEnd, 800, 8, 0}, state);
  method.on_event({When::PhaseEnd, 1000, 10, 0}, state);
}

std::unique_ptr<Method> made(const std::string& name) { return find_method(name).make(resolved_settings(name, "0.5")); }

class ScoringMethod : public MaskedMethod {};
class ScoringFirst : public MaskedMethod {};

TEST_P(ScoringMethod, P9ScoresThatAreNotNumbersNameTheTensor) {
  FakeState state(linear_layers({{4, 4}, {4, 4}}));
  state.set_weight(1, std::vector<float>(16, std::nanf("")));
  state.answer = [](const ProbeRequest& request) {
    ProbeResult result{1, {std::vector<float>(16, 1), std::vector<float>(16, 1)}};
    if (request.weights.empty()) result.grads[1][3] = std::nanf("");
    return result;
  };
  try {
    drive(*made(name()), state);
    FAIL() << "accepted a NaN";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("fc2.weight"), std::string::npos) << error.what();
  }
}

TEST_P(ScoringFirst, P10EqualScoresKeepTheFirstPositions) {
  FakeState state(linear_layers({{4, 4}}));
  state.set_weight(0, std::vector<float>(16, 1));
  state.answer = [](const ProbeRequest&) { return ProbeResult{1, {std::vector<float>(16, 1)}}; };
  drive(*made(name()), state);
  for (const MaskKind kind : kKinds) {
    const auto mask = state.keep(0, kind);
    EXPECT_TRUE(std::is_sorted(mask.rbegin(), mask.rend()));
  }
  EXPECT_LT(state.params().live(ParamId(0)), 16);
}

const auto kName = [](const testing::TestParamInfo<std::string>& method) { return method.param; };
INSTANTIATE_TEST_SUITE_P(AllMasked, MaskedMethod, testing::ValuesIn(masked_methods()), kName);
INSTANTIATE_TEST_SUITE_P(AllMasked, ScoringMethod, testing::ValuesIn(scoring_methods()), kName);
INSTANTIATE_TEST_SUITE_P(AllMasked, ScoringFirst, testing::ValuesIn(methods_that_score_first()), kName);

}  // namespace
}  // namespace winnow
