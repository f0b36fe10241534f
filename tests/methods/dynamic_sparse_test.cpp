// RigL, SET and gradual pruning at their moments: when they act, what they ask the trainer for, what they change.
#include <gtest/gtest.h>

#include "experiments/methods/compose.h"
#include "experiments/methods/toolkit/drop_grow.h"
#include "experiments/methods/toolkit/mask_tools.h"
#include "experiments/methods/toolkit/selection.h"
#include "fake_state.h"

namespace winnow {
namespace {

const std::vector<Shape> kShapes = {{20, 30}, {10, 20}};

FakeState net() { return FakeState(linear_layers(kShapes)); }

Moment moment(When when, FakeState& state, std::int64_t step) {
  state.at_step = step;
  return {when, step, step / state.run.steps_per_epoch, 0};
}

void random_gradients(FakeState& state) {
  for (const std::size_t i : {0u, 1u}) {
    const auto grad = state.params().change_grad(ParamId(i));
    for (std::size_t j = 0; j < grad.size(); ++j) grad[j] = normal_at({9, 9, 9}, j);
  }
}

std::int64_t kept(const FakeState& state) { return count_ones(state.keep(0)) + count_ones(state.keep(1)); }

TEST(Rigl, SkipsOneBatchAtEachUpdateAndAsksForDenseGradientsOnlyThere) {
  FakeState state = net();
  const auto rigl = made_method({{"name", "rigl"}, {"density", "0.2"}, {"delta_t", "100it"}});
  EventPlan plan;
  rigl->schedule(plan, state.run);
  rigl->on_event(begin(), state);
  random_gradients(state);
  std::vector<std::int64_t> updates;
  for (std::int64_t step = 0; step < 1000;) {
    const bool wanted = plan.after_backward.contains(step);
    EXPECT_EQ(wanted, plan.dense_gradients.contains(step));
    const Verdict verdict = wanted ? rigl->on_event(moment(When::AfterBackward, state, step), state) : Verdict::Update;
    if (verdict == Verdict::SkipUpdate) {
      updates.push_back(step);
    } else {
      ++step;
    }
  }
  EXPECT_EQ(updates, (std::vector<std::int64_t>{0, 100, 200, 300, 400, 500, 600, 700}));
}

TEST(Rigl, UpdateKeepsTheCountAndGrowsFromZeroWithZeroSlots) {
  FakeState state = net();
  const auto rigl = made_method({{"name", "rigl"}, {"density", "0.2"}});
  rigl->on_event(begin(), state);
  random_gradients(state);
  const std::int64_t before = kept(state);
  const Bits old = state.keep(0);
  for (float& slot : state.params().change_slot(ParamId(0), 0)) slot = 1;
  state.params().replace_mask(ParamId(0), MaskKind::Keep, old);  // zero slots under the mask
  rigl->on_event(moment(When::AfterBackward, state, 0), state);
  EXPECT_EQ(kept(state), before);
  const Bits now = state.keep(0);
  EXPECT_NE(now, old);
  for (std::size_t i = 0; i < now.size(); ++i) {
    const bool stays = now[i] != 0 && old[i] != 0;
    EXPECT_EQ(state.params().slot(ParamId(0), 0)[i], stays ? 1 : 0);
    EXPECT_EQ(state.params().weight(ParamId(0))[i] != 0, stays);
  }
}

TEST(Rigl, SavedStateRemembersTheUpdateOfThisStep) {
  FakeState state = net();
  const auto a = made_method({{"name", "rigl"}, {"density", "0.2"}});
  const auto b = made_method({{"name", "rigl"}, {"density", "0.2"}});
  a->on_event(begin(), state);
  random_gradients(state);
  EXPECT_EQ(a->on_event(moment(When::AfterBackward, state, 0), state), Verdict::SkipUpdate);
  MemoryState saved;
  a->save(saved);
  b->load(saved);
  EXPECT_EQ(b->on_event(moment(When::AfterBackward, state, 0), state), Verdict::Update);
}

TEST(Rigl, FullDensityIsDenseTraining) {
  FakeState state = net();
  const auto rigl = made_method({{"name", "rigl"}, {"density", "1"}});
  rigl->on_event(begin(), state);
  EXPECT_TRUE(state.keep(0).empty());
  EXPECT_EQ(rigl->on_event(moment(When::AfterBackward, state, 0), state), Verdict::Update);
}

TEST(Set, ActsAfterEachEpochButTheLastAndKeepsTheCount) {
  FakeState state = net();
  const auto set = made_method({{"name", "set"}, {"density", "0.2"}});
  set->on_event(begin(), state);
  const std::int64_t before = kept(state);
  const Bits old = state.keep(0);
  EXPECT_EQ(set->on_event(moment(When::EpochEnd, state, 100), state), Verdict::Update);
  EXPECT_EQ(kept(state), before);
  const Bits now = state.keep(0);
  std::int64_t left = 0;
  for (std::size_t i = 0; i < now.size(); ++i) left += old[i] != 0 && now[i] == 0;
  EXPECT_GT(left, count_ones(old) / 10);
  set->on_event(moment(When::EpochEnd, state, 1000), state);
  EXPECT_EQ(state.keep(0), now);
}

TEST(Set, AnIntervalInStepsActsAfterThoseSteps) {
  FakeState state = net();
  const auto set = made_method({{"name", "set"}, {"density", "0.2"}, {"interval", "50it"}});
  EventPlan plan;
  set->schedule(plan, state.run);
  set->on_event(begin(), state);
  EXPECT_TRUE(plan.after_step.contains(50));
  EXPECT_FALSE(plan.after_step.contains(60) || plan.after_step.contains(1000));
  const Bits old = state.keep(0);
  set->on_event(moment(When::EpochEnd, state, 100), state);
  EXPECT_EQ(state.keep(0), old);
  set->on_event(moment(When::AfterStep, state, 100), state);
  EXPECT_NE(state.keep(0), old);
}

TEST(Set, CompatUpdatesAsTheOfficialCode) {
  FakeState state(linear_layers({{20, 30}}));
  const auto set = made_method({{"name", "set"}, {"density", "0.9"}, {"compat", "true"}});
  set->on_event(begin(), state);
  const auto weight = state.params().weight(ParamId(0));
  for (float& slot : state.params().change_slot(ParamId(0), 0)) slot = 1;
  const std::vector<float> old_weight(weight.begin(), weight.end());
  const Bits old = state.keep(0), stay = drop_by_sign(old_weight, old, .3, "fc1.weight");
  set->on_event(moment(When::EpochEnd, state, 100), state);
  const Bits now = state.keep(0);
  EXPECT_EQ(count_ones(now), count_ones(old));
  std::int64_t drawn_again = 0;
  for (std::size_t i = 0; i < now.size(); ++i) {
    EXPECT_LE(stay[i], now[i]);
    EXPECT_EQ(weight[i], stay[i] != 0 ? old_weight[i] : 0);
    EXPECT_EQ(state.params().slot(ParamId(0), 0)[i], 0);
    drawn_again += old[i] != 0 && stay[i] == 0 && now[i] != 0;
  }
  EXPECT_GT(drawn_again, 0);  // few positions are empty at this density
}

TEST(Set, DropsByTheMagnitudesThatAParametrisationScales) {
  for (const char* compat : {"false", "true"}) {
    for (const bool scaled : {false, true}) {
      Model model = linear_layers({{2, 4}, {4, 4}});
      model.params[1].prunable = false;
      if (scaled) model.params[0].compared = times_row_norms_of(ParamId(1));
      FakeState state(model);
      state.set_weight(0, {1.1f, 0, 1, 0, 0, 0, 0, 0});
      state.set_weight(1, {1, 0, 0, 0, 0, 1, 0, 0, .5f, 0, 1, 0, 0, 0, -.5f, 1});
      state.params().replace_mask(ParamId(0), MaskKind::Keep, Bits{1, 0, 1, 0, 0, 0, 0, 0});
      made_method({{"name", "set"}, {"density", "0.25"}, {"zeta", "0.5"}, {"compat", compat}})
          ->on_event(moment(When::EpochEnd, state, 100), state);
      EXPECT_EQ(state.keep(0)[scaled ? 2 : 0], 1) << compat;
      EXPECT_EQ(state.keep(0)[scaled ? 0 : 2], 0) << compat;
    }
  }
}

TEST(Gmp, EqualBeginAndEndPruneOnceByTheTrainedWeights) {
  const auto gmp =
      made_method({{"name", "gmp"}, {"density", "0.1"}, {"scope", "global"}, {"begin", "0.8"}, {"end", "0.8"}});
  FakeState state = net(), initial = net();
  EventPlan plan;
  gmp->schedule(plan, state.run);
  gmp->on_event(begin(), state);
  for (std::int64_t step = 1; step <= 1000; ++step) {
    EXPECT_EQ(plan.after_step.contains(step), step == 800);
  }
  for (const std::size_t i : {0u, 1u}) {
    EXPECT_TRUE(state.keep(i).empty());
    for (FakeState* one : {&state, &initial}) {  // as if trained: another order of magnitudes
      for (float& weight : one->params().change(ParamId(i))) weight = 1 / weight;
    }
  }
  gmp->on_event(moment(When::AfterStep, state, 800), state);
  made_method({{"name", "magnitude"}, {"density", "0.1"}})->on_event(begin(), initial);
  for (const std::size_t i : {0u, 1u}) EXPECT_EQ(state.keep(i), initial.keep(i));
  EXPECT_EQ(kept(state), 80);
}

TEST(Gmp, MasksOnlyShrinkAndEndAtTheDensity) {
  for (const char* scope : {"layer", "global"}) {
    FakeState state = net();
    const auto gmp = made_method({{"name", "gmp"}, {"density", "0.1"}, {"interval", "50it"}, {"scope", scope}});
    EventPlan plan;
    gmp->schedule(plan, state.run);
    gmp->on_event(begin(), state);
    Bits last(600, 1);
    std::int64_t updates = 0;
    for (std::int64_t step = 1; step <= 1000; ++step) {
      if (!plan.after_step.contains(step)) continue;
      EXPECT_EQ(gmp->on_event(moment(When::AfterStep, state, step), state), Verdict::Update);
      const Bits now = state.keep(0);
      for (std::size_t i = 0; i < now.size(); ++i) EXPECT_LE(now[i], last[i]);
      last = now;
      ++updates;
    }
    EXPECT_EQ(updates, 12);
    EXPECT_EQ(kept(state), 80) << scope;
  }
}

TEST(Gmp, LayersKeepTheDensityOfTheirOwn) {
  FakeState state = net();
  const auto gmp =
      made_method({{"name", "gmp"}, {"density", "0.1"}, {"keep_dense", "[first]"}, {"layer_density", "[last=0.2]"}});
  gmp->on_event(moment(When::AfterStep, state, 700), state);
  EXPECT_EQ(count_ones(state.keep(0)), 600);
  EXPECT_EQ(count_ones(state.keep(1)), 40);
}

}  // namespace
}  // namespace winnow
