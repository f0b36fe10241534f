// FreezeNet against the oracles of its specification: scores, masks, and one step of each variant
// on a layer whose gradients the engine computes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/optimizer.h"
#include "core/optimizers/optimizer_rule.h"
#include "experiments/methods/compose.h"
#include "experiments/methods/toolkit/mask_at_init.h"
#include "fake_state.h"
#include "tests/core/run_graph.h"
#include "tests/training/small_trial.h"

namespace winnow {
namespace {

const std::vector<float> kStart{.5f, -1, 2, .2f};

// d L / d W of L = |W x - t|^2 / 2 with x = (1, 2), t = (0, 1). There is no op for this loss, but
// its gradient is that of sum(r * W x) at the constant r = W x - t.
std::vector<float> gradient(const std::vector<float>& weights) {
  test::Bench bench;
  const ValueId x = bench.leaf("x", {1, 2}, {1, 2}), w = bench.leaf("w", {2, 2}, weights);
  const ValueId y = bench.graph.emit1("linear", {x, w, kNoValue}, {}, "y");
  std::vector<float> residual = bench.eval(y);
  residual[1] -= 1;
  return bench.gradients(y, residual, {w}).at(0);
}

// The layer, edited by the method if there is one.
FakeState freeze_net(Method* method = nullptr) {
  Model model = linear_layers({{2, 2}});
  if (method != nullptr) {
    const Settings train;
    GraphEditor editor(model, train);
    method->edit(editor);
  }
  FakeState state(model);
  state.set_weight(0, kStart);
  state.answer = [](const ProbeRequest&) { return ProbeResult{1, {gradient(kStart)}}; };
  return state;
}

TEST(FreezeNet, MaskMatchesSpecificationOracleAndLeavesFrozenWeights) {
  FakeState state = freeze_net();
  made_method({{"name", "freezenet"}, {"density", "0.5"}})->on_event(begin(), state);
  EXPECT_EQ(state.keep(0, MaskKind::Trainable), (Bits{0, 1, 1, 0}));
  EXPECT_TRUE(state.keep(0).empty());
  EXPECT_EQ(state.params().weight(ParamId(0))[0], .5f);
}

TEST(FreezeNet, PrunedCounterpartHasTheSameMaskWithZeros) {
  FakeState state = freeze_net();
  made_method({{"name", "freezenet"}, {"density", "0.5"}, {"variant", "snip"}})->on_event(begin(), state);
  EXPECT_EQ(state.keep(0), (Bits{0, 1, 1, 0}));
  EXPECT_EQ(state.params().weight(ParamId(0))[0], 0);
}

TEST(FreezeNet, WeightDecayVariantPrunesAtTheEnd) {
  const auto made = made_method({{"name", "freezenet"}, {"density", "0.5"}, {"variant", "freeze_wd"}});
  FakeState state = freeze_net(made.get());
  made->on_event(begin(), state);
  EXPECT_EQ(state.params().weight(ParamId(0))[0], .5f);
  EventPlan plan;
  made->schedule(plan, state.run);
  EXPECT_TRUE(plan.after_step.contains(1000));
  made->on_event({When::AfterStep, 1000, 10, 0}, state);
  EXPECT_EQ(state.keep(0), (Bits{0, 1, 1, 0}));
  EXPECT_EQ(state.params().weight(ParamId(0))[0], 0);
  EXPECT_EQ(state.params().weight(ParamId(0))[2], 2);
}

// One step of plain SGD with learning rate 0.1 on the weights that `variant` leaves after scoring.
std::vector<float> after_one_step(const char* variant, const char* decay) {
  const auto made = made_method({{"name", "freezenet"}, {"density", "0.5"}, {"variant", variant}});
  FakeState state = freeze_net(made.get());
  made->on_event(begin(), state);
  const auto weight = state.params().weight(ParamId(0));
  std::ranges::copy(gradient({weight.begin(), weight.end()}), state.params().change_grad(ParamId(0)).begin());
  const Settings train = test::resolved(train_schema(), {{"momentum", "0"}, {"weight_decay", decay}});
  Optimizer(train, state.params(), *made, 1).update(.1, 1);
  const auto updated = state.params().weight(ParamId(0));
  return {updated.begin(), updated.end()};
}

TEST(FreezeNet, ScoresMatchSpecificationOracle) {
  FakeState state = freeze_net();
  const auto scores = saliencies(state, pruned_tensors(state), {gradient(kStart)});
  test::expect_near(scores.at(0), {.75f, 3, 2.8f, .56f});
}

TEST(FreezeNet, UpdatesOfAllVariantsMatchSpecificationOracle) {
  test::expect_near(after_one_step("freeze", "0"), {.5f, -.7f, 1.86f, .2f});
  test::expect_near(after_one_step("freeze", "0.1"), {.5f, -.69f, 1.84f, .2f});
  test::expect_near(after_one_step("freeze_wd", "0.1"), {.495f, -.69f, 1.84f, .198f});
  // The pruned network has another output, and so other gradients.
  test::expect_near(after_one_step("snip", "0"), {0, -.6f, 1.9f, 0});
}

// freeze_wd: the decay of a frozen weight goes through the momentum buffer and leaves
// about exp(-decay * sum of learning rates / (1 - momentum)) of it.
TEST(FreezeNet, FrozenWeightsDecayAsTheSpecificationSays) {
  const auto made = made_method({{"name", "freezenet"}, {"density", "0.5"}, {"variant", "freeze_wd"}});
  FakeState state = freeze_net(made.get());
  made->on_event(begin(), state);
  const Settings train = test::resolved(train_schema(), {{"momentum", "0.9"}, {"weight_decay", "5e-4"}});
  Optimizer optimizer(train, state.params(), *made, 1);
  std::ranges::fill(state.params().change_grad(ParamId(0)), 1.0f);  // must not reach frozen weights
  for (const double rate : {.1, .01, .001}) {
    for (int step = 0; step < 25000; ++step) optimizer.update(rate, 1);  // SGD counts no updates
  }
  const double left = std::exp(-5e-4 * 25000 * .111 / .1);
  EXPECT_NEAR(left, 9e-7, 1e-7);
  const auto weight = state.params().weight(ParamId(0));
  for (const std::size_t frozen : {0u, 3u}) {
    EXPECT_NEAR(static_cast<double>(weight[frozen] / kStart[frozen]) / left, 1, .1);
  }
}

// The weights after ten steps of an optimiser; `gradient` of every entry.
std::vector<float> after_ten_steps(Method* method, std::string_view optimizer, float gradient) {
  FakeState state = freeze_net(method);
  if (method != nullptr) method->on_event(begin(), state);
  const test::Pairs train = {{"optimizer", std::string(optimizer)}, {"weight_decay", "0.1"}, {"clip_norm", "0.5"}};
  const auto dense = made_method({{"name", "dense"}});
  const Settings settings = test::resolved(train_schema(), train);
  ParamStore params(linear_layers({{2, 2}}), Optimizer::slots(settings));
  const ParamId id{0};
  std::ranges::copy(state.params().weight(id), params.change(id).begin());
  params.replace_mask(id, MaskKind::Trainable, state.params().mask(id, MaskKind::Trainable));
  Optimizer update(settings, params, method != nullptr ? *method : *dense, 1);
  for (int step = 1; step <= 10; ++step) {
    std::ranges::fill(params.grad_memory(id).span<float>(), gradient);
    update.update(.1, step);
  }
  const auto weight = params.weight(id);
  return {weight.begin(), weight.end()};
}

// freeze_wd under every optimiser: what is trained steps as in the variant without decay of frozen weights, and what is
// frozen as a weight without a gradient.
TEST(FreezeNet, FrozenWeightsDecayUnderEveryOptimiserAndDisturbNoOther) {
  for (const OptimizerRule& rule : optimizers()) {
    SCOPED_TRACE(rule.name);
    const auto frozen = made_method({{"name", "freezenet"}, {"density", "0.5"}});
    const auto decaying = made_method({{"name", "freezenet"}, {"density", "0.5"}, {"variant", "freeze_wd"}});
    const auto a = after_ten_steps(frozen.get(), rule.name, 1), b = after_ten_steps(decaying.get(), rule.name, 1);
    const auto without_gradient = after_ten_steps(nullptr, rule.name, 0);
    for (const std::size_t trained : {1u, 2u}) EXPECT_EQ(a[trained], b[trained]);
    for (const std::size_t left : {0u, 3u}) {
      EXPECT_EQ(a[left], kStart[left]);
      EXPECT_NE(b[left], kStart[left]);
      EXPECT_EQ(b[left], without_gradient[left]);
    }
  }
}

TEST(FreezeNet, ReinitialisedFrozenWeightsAreThoseOfTheSeedOnRecord) {
  const std::vector<float> before{.5f, -1, 2, .2f};
  for (const char* part : {"frozen", "trained", "both"}) {
    FakeState state(linear_layers({{2, 2}}));
    state.answer = [](const ProbeRequest&) { return ProbeResult{1, {{0, 1, 1, 0}}}; };
    const std::vector<float> start(state.params().weight(ParamId(0)).begin(), state.params().weight(ParamId(0)).end());
    made_method({{"name", "freezenet"}, {"density", "0.5"}, {"reinit", part}})->on_event(begin(), state);
    std::vector<float> regenerated(4);
    const auto [spec, key] = state.params().seeded(ParamId(0));
    generate(spec, key, regenerated);
    const auto now = state.params().weight(ParamId(0));
    const bool frozen = std::string(part) != "trained", trained = std::string(part) != "frozen";
    for (const std::size_t i : {0u, 3u}) {
      EXPECT_EQ(now[i], regenerated[i]) << part;
      EXPECT_EQ(now[i] != start[i], frozen) << part;
    }
    for (const std::size_t i : {1u, 2u}) EXPECT_EQ(now[i] != start[i], trained) << part;
  }
}

}  // namespace
}  // namespace winnow
