// What every method must have, and the properties of those that set masks, tested for all registered methods from this
// one place: a new method is picked up by its registry entry. Real training on synthetic images, and unit states where a
// property is about scores.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <functional>
#include <numeric>

#include "core/error.h"
#include "core/touched.h"
#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/density.h"
#include "fake_state.h"
#include "tests/training/small_trial.h"

namespace winnow {
namespace {

using test::all_weights;
using test::Pairs;
using test::SmallTrial;

// Settings that make a method act several times within 40 steps.
Pairs settings_of(const std::string& name, const std::string& density = "0.2") {
  Pairs settings = {{"name", name}};
  const MethodDef& def = find_method(name);
  const auto sets_density = [](const Setting& setting) { return setting.key == "density"; };
  if (std::ranges::any_of(def.schema, sets_density)) settings.emplace_back("density", density);
  for (const auto& [key, text] : def.example.settings) settings.emplace_back(key, text);
  return settings;
}

Settings resolved_settings(const std::string& name, const std::string& density) {
  Settings settings;
  for (const auto& [key, value] : settings_of(name, density)) {
    if (key != "name") settings.set(key, value);
  }
  return resolve(find_method(name).schema, settings);
}

std::unique_ptr<Method> made(const std::string& name, const std::string& density = "0.5") {
  return find_method(name).make(resolved_settings(name, density));
}

std::vector<std::string> all_methods() {
  std::vector<std::string> names;
  for (const MethodDef& def : methods()) names.push_back(def.name);
  return names;
}

std::vector<std::string> masked_methods() {
  std::vector<std::string> names = all_methods();
  // A method that chooses inside the graph, by scores that it trains, is told by what it derives: the properties of
  // masks that one sets at events are not its own.
  std::erase_if(names, [](const std::string& name) {
    const Touches touches = made(name)->touches();
    return !touches.masks || touches.weights_source;
  });
  return names;
}

// Those that are told how much to keep, and do not take over the mask of another trial.
std::vector<std::string> choosing_methods() {
  std::vector<std::string> names = masked_methods();
  std::erase_if(names, [](const auto& name) { return find_setting(find_method(name).schema, "density") == nullptr; });
  return names;
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

class ChoosingMethod : public MaskedMethod {};

TEST_P(ChoosingMethod, P1TheCountRuleHoldsExactlyAtTheEnd) {
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
  for (const char* optimizer : {"sgd", "adam", "sam"}) {
    SmallTrial trial("lenet300", settings(),
                     {{"optimizer", optimizer},
                      {"lr", std::string(optimizer) == "adam" ? "0.001" : "0.05"},
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

TEST_P(ChoosingMethod, P6FullDensityIsTheDenseRunBitForBit) {
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
    std::copy(values.begin(), values.end(), b.params().change(ParamId(p)).begin());
  }
  EXPECT_EQ(a.train_step().loss, b.train_step().loss);
}

TEST_P(ChoosingMethod, P8EmptyAndFullLayersDoNotStopTraining) {
  // Eight entries of 266,200 remain: most layers are empty under a global scope.
  SmallTrial trial("lenet300", settings("0.00003"));
  Trainer trainer = trial.make();
  EXPECT_FALSE(trainer.run().diverged);
  for (const float weight : all_weights(trainer)) ASSERT_TRUE(std::isfinite(weight));
}

// The moments at which a method may choose, on a state without training; until `enough`.
void drive(
    Method& method, FakeState& state, const std::function<bool()>& enough = [] { return false; }) {
  const Moment moments[] = {begin(),
                            {When::AfterBackward, 0, 0, 0},
                            {When::AfterStep, 200, 2, 0},
                            {When::AfterStep, 750, 7, 0},
                            {When::EpochEnd, 800, 8, 0},
                            {When::PhaseEnd, 1000, 10, 0},
                            {When::Begin, 1000, 10, 1}};
  for (const Moment& moment : moments) {
    state.at_step = moment.step;
    method.on_event(moment, state);
    if (enough()) return;
  }
}

std::vector<Bits> masks_of(const FakeState& state) { return {state.keep(0), state.keep(0, MaskKind::Trainable)}; }

TEST_P(ChoosingMethod, P9ScoresThatAreNotNumbersNameTheTensor) {
  const auto chosen = [&](float second) {
    FakeState state(linear_layers({{4, 4}, {4, 4}}));
    state.set_weight(1, std::vector<float>(16, second));
    state.answer = [second](const ProbeRequest& request) {
      ProbeResult result{1, {std::vector<float>(16, 1), std::vector<float>(16, 1)}};
      if (request.weights.empty()) result.grads[1][3] = second;
      return result;
    };
    drive(*made(name()), state);
    return masks_of(state);
  };
  try {
    const auto without_reading = chosen(std::nanf(""));
    EXPECT_EQ(without_reading, chosen(7)) << "a NaN was accepted, and not because weights do not count";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("fc2.weight"), std::string::npos) << error.what();
  }
}

TEST_P(ChoosingMethod, P10EqualScoresKeepTheFirstPositionsUnlessTheChoiceIsDrawn) {
  const auto first_choice = [&](const std::vector<float>& weights, std::uint64_t seed) {
    FakeState state(linear_layers({{4, 4}}));
    state.seed = seed;
    state.set_weight(0, weights);
    state.answer = [](const ProbeRequest&) { return ProbeResult{1, {std::vector<float>(16, 1)}}; };
    drive(*made(name()), state, [&] { return state.params().live(ParamId(0)) < 16; });
    EXPECT_LT(state.params().live(ParamId(0)), 16);
    return masks_of(state);
  };
  const std::vector<float> equal(16, 1);
  std::vector<float> distinct(16);
  for (std::size_t i = 0; i < distinct.size(); ++i) distinct[i] = 1 + static_cast<float>(i * 7 % 16);
  const bool drawn = first_choice(distinct, 5) != first_choice(distinct, 6);
  EXPECT_EQ(drawn, first_choice(equal, 5) != first_choice(equal, 6)) << "equal scores were broken at random";
  if (drawn) return;
  for (const Bits& mask : first_choice(equal, 5)) EXPECT_TRUE(std::is_sorted(mask.rbegin(), mask.rend()));
}

// gtest takes letters and digits only.
std::string test_name(const testing::TestParamInfo<std::string>& method) {
  std::string name = method.param;
  std::ranges::replace_if(
      name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(AllMasked, MaskedMethod, testing::ValuesIn(masked_methods()), test_name);
INSTANTIATE_TEST_SUITE_P(AllMasked, ChoosingMethod, testing::ValuesIn(choosing_methods()), test_name);

// Two edits for the same batch, and one for a larger.
void expect_alike(const Model& a, const Model& b, const Model& larger) {
  ASSERT_EQ(a.graph.node_count(), b.graph.node_count());
  for (NodeId at = 0; at < a.graph.node_count(); ++at) {
    const Node &x = a.graph.nodes()[at], &y = b.graph.nodes()[at];
    EXPECT_EQ(x.op, y.op);
    EXPECT_EQ(x.name, y.name);
    EXPECT_EQ(x.in, y.in) << x.name;
    EXPECT_EQ(x.attrs, y.attrs) << x.name;
  }
  ASSERT_EQ(a.params.size(), larger.params.size());
  for (std::size_t p = 0; p < a.params.size(); ++p) {
    EXPECT_EQ(a.params[p].name, larger.params[p].name);
    EXPECT_EQ(a.params[p].shape, larger.params[p].shape) << a.params[p].name;
    EXPECT_EQ(a.params[p].retired, larger.params[p].retired) << a.params[p].name;
  }
}

// What every method must have, masked or not, on its own example.
class AnyMethod : public testing::TestWithParam<std::string> {
 protected:
  const std::string& name() const { return GetParam(); }
  const MethodExample& example() const { return find_method(name()).example; }
  SmallTrial trial(int threads = 1) const {
    const Pairs images = {{"height", "16"}, {"width", "16"}, {"channels", "3"}};
    SmallTrial small(example().model, settings_of(name()), {}, example().model == "lenet300" ? Pairs{} : images);
    small.threads = threads;
    return small;
  }
  Model plain(std::int64_t batch) const {
    const DataShape shape = example().model == "lenet300" ? DataShape{28, 28, 1, 10} : DataShape{16, 16, 3, 10};
    const ModelDef& def = find_model(example().model);
    return def.build(resolve(def.schema, Settings()), shape, batch, DType::F32);
  }
  static Model edited(Method& method, Model model, Use use, const Pairs& train_settings = {}) {
    const Settings train = test::resolved(train_schema(), train_settings);
    GraphEditor editor(model, train, use);
    method.edit(editor);
    return model;
  }
};

TEST_P(AnyMethod, SaysWhatItTouches) {
  SmallTrial small = trial();
  Method& method = small.method();
  const Touches said = method.touches();
  const Model before = plain(2);
  Touches done = touched_by(method, before, resolve(train_schema(), Settings()));
  done.phases = method.phase(1, RunLength{40, 20}).has_value();
  Trainer trainer = small.make();
  trainer.run();
  done.channels = !trainer.kept().empty();
  for (std::size_t p = 0; p < trainer.params().size(); ++p) {
    for (const MaskKind kind : {MaskKind::Keep, MaskKind::Trainable}) {
      done.masks = done.masks || !trainer.params().mask(ParamId(p), kind).empty();
    }
  }
  done.stored_form = !trainer.encoded().empty();
  EXPECT_NO_THROW(check_touches(said, done, name()));
  EXPECT_EQ(said.structure, done.structure) << "what is said and not done would only forbid companions";
  EXPECT_EQ(said.weights_source, done.weights_source);
  EXPECT_EQ(said.masks, done.masks);
  EXPECT_EQ(said.phases, done.phases);
  EXPECT_EQ(said.stored_form, done.stored_form);
  EXPECT_EQ(said.evaluation, done.evaluation);
  EXPECT_EQ(said.channels, done.channels);
}

TEST_P(AnyMethod, EditsEveryGraphAlike) {
  SmallTrial small = trial();  // with what the method needs
  Method& method = small.method();
  for (const Use use : kUses) {
    SCOPED_TRACE(name_of(use));
    expect_alike(edited(method, plain(2), use), edited(method, plain(2), use), edited(method, plain(5), use));
  }
}

// What acts at every step is nodes: it runs where the optimiser runs.
TEST_P(AnyMethod, LeavesOrdinaryStepsToTheUpdate) {
  for (const char* optimizer : {"sgd", "adam"}) {
    SmallTrial small = trial();
    edited(small.method(), plain(2), Use::Train, {{"optimizer", optimizer}, {"weight_decay", "0.1"}});
    EventPlan plan;
    small.method().schedule(plan, RunLength{40, 20});
    int ordinary = 0;
    for (std::int64_t step = 0; step < 40; ++step) {
      ordinary += plan.after_backward.contains(step) || plan.after_step.contains(step + 1) ? 0 : 1;
    }
    EXPECT_GE(ordinary, 20) << "steps of 40, with " << optimizer;
  }
}

TEST_P(AnyMethod, TrainsAndRepeatsBitForBit) {
  std::vector<std::vector<float>> start, end;
  std::vector<double> losses;
  for (int round = 0; round < 2; ++round) {
    SmallTrial small = trial(2);
    Trainer trainer = small.make();
    trainer.start_phase(0);
    start.push_back(all_weights(trainer));
    losses.clear();
    for (int i = 0; i < 40; ++i) losses.push_back(trainer.train_step().loss);
    end.push_back(all_weights(trainer));
  }
  EXPECT_EQ(start[0], start[1]);
  EXPECT_EQ(end[0], end[1]);
  for (const double loss : losses) ASSERT_TRUE(std::isfinite(loss));
  for (const float weight : end[0]) ASSERT_TRUE(std::isfinite(weight));
  // The best five in a row: what is unstable in the end, as learned steps of quantisers at this rate, has learned before.
  const auto five_from = [&](std::size_t i) {
    return std::accumulate(losses.begin() + static_cast<std::ptrdiff_t>(i),
                           losses.begin() + static_cast<std::ptrdiff_t>(i) + 5, 0.0);
  };
  double best = five_from(5);
  for (std::size_t i = 6; i + 5 <= losses.size(); ++i) best = std::min(best, five_from(i));
  EXPECT_LT(best, five_from(0)) << "sums of five losses";
}

TEST_P(AnyMethod, ASavedStateGoesOnAsIfNothingHappened) {
  SmallTrial small = trial(), other = trial();
  Trainer whole = small.make(), resumed = other.make();
  whole.start_phase(0);
  for (int i = 0; i < 11; ++i) whole.train_step();
  MemoryState state;
  whole.save(state);
  resumed.start_phase(0);
  resumed.load(state);
  EXPECT_TRUE(state.unread().empty());
  for (int i = 0; i < 15; ++i) {
    whole.train_step();
    resumed.train_step();
  }
  EXPECT_EQ(whole.params().mask_digest(), resumed.params().mask_digest());
  EXPECT_EQ(all_weights(whole), all_weights(resumed));
}

INSTANTIATE_TEST_SUITE_P(All, AnyMethod, testing::ValuesIn(all_methods()), test_name);

}  // namespace
}  // namespace winnow
