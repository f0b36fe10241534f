// SNIP, magnitude, SynFlow and random masks against the specification's oracles. The
// networks are tiny, so probes answer with gradients worked out by hand.
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "experiments/methods/compose.h"
#include "experiments/methods/synflow.h"
#include "experiments/methods/toolkit/mask_at_init.h"
#include "experiments/methods/toolkit/selection.h"
#include "fake_state.h"

namespace winnow {
namespace {

const std::vector<float> kW1{1, -.25f, .5f, 1}, kW2{1, -1, .5f, 2};

FakeState oracle_net() {
  FakeState state(linear_layers({{2, 2}, {2, 2}}));
  state.set_weight(0, kW1);
  state.set_weight(1, kW2);
  state.answer = [](const ProbeRequest&) {
    return ProbeResult{7.250710,
                       {{-.499645f, -.999290f, 2.997871f, 5.995742f}, {-.499645f, -2.498226f, .499645f, 2.498226f}}};
  };
  return state;
}

TEST(MagnitudeAtInit, GlobalMaskMatchesSpecificationOracle) {
  FakeState state = oracle_net();
  made_method({{"name", "magnitude"}, {"density", "0.5"}})->on_event(begin(), state);
  EXPECT_EQ(state.keep(0), (Bits{1, 0, 0, 1}));
  EXPECT_EQ(state.keep(1), (Bits{1, 0, 0, 1}));
}

TEST(MagnitudeAtInit, LayerScopeKeepsTheSameShareOfEachLayer) {
  FakeState state = oracle_net();
  state.set_weight(1, {10, 20, 30, 40});
  made_method({{"name", "magnitude"}, {"density", "0.5"}, {"scope", "layer"}})->on_event(begin(), state);
  EXPECT_EQ(state.keep(0), (Bits{1, 0, 0, 1}));
  EXPECT_EQ(state.keep(1), (Bits{0, 0, 1, 1}));
}

TEST(Snip, MaskMatchesSpecificationOracle) {
  FakeState state = oracle_net();
  made_method({{"name", "snip"}, {"density", "0.5"}})->on_event(begin(), state);
  EXPECT_EQ(state.keep(0), (Bits{0, 0, 1, 1}));
  EXPECT_EQ(state.keep(1), (Bits{0, 1, 0, 1}));
  EXPECT_EQ(state.params().weight(ParamId(0))[0], 0);
  EXPECT_EQ(state.params().weight(ParamId(0))[3], 1);
}

TEST(Snip, NormalisedSaliencyMatchesSpecificationOracle) {
  FakeState state = oracle_net();
  const std::vector<PrunedTensor> tensors = pruned_tensors(state);
  std::vector<Scores> scores = saliencies(state, tensors, state.probe({}).grads);
  float sum = 0;
  for (const Scores& layer : scores) {
    for (const float score : layer) sum += score;
  }
  const std::vector<Scores> oracle = {{.030303f, .015152f, .090909f, .363636f},
                                      {.030303f, .151515f, .015152f, .303030f}};
  for (const std::size_t t : {0u, 1u}) {
    for (const std::size_t i : {0u, 1u, 2u, 3u}) EXPECT_NEAR(scores[t][i] / sum, oracle[t][i], 1e-6f) << t << " " << i;
  }
}

TEST(Snip, AsksForOneBatchUnderRunningStatisticsUnlessToldOtherwise) {
  std::vector<ProbeRequest> asked;
  for (const char* norm : {"running", "batch"}) {
    FakeState state = oracle_net();
    state.answer = [&asked, answer = state.answer](const ProbeRequest& request) {
      asked.push_back(request);
      return answer(request);
    };
    made_method({{"name", "snip"}, {"density", "0.5"}, {"norm", norm}, {"batches", "3"}})->on_event(begin(), state);
  }
  EXPECT_EQ(asked.at(0).norm, NormStatistics::Running);
  EXPECT_EQ(asked.at(1).norm, NormStatistics::Batch);
  EXPECT_EQ(asked.at(1).batches, 3);
  EXPECT_EQ(asked.at(0).loss, ProbeRequest::Loss::CrossEntropy);
}

TEST(Snip, ReinitKeepsTheMaskAndDrawsOtherWeights) {
  FakeState state = oracle_net();
  made_method({{"name", "snip"}, {"density", "0.5"}, {"reinit", "true"}})->on_event(begin(), state);
  EXPECT_EQ(state.keep(0), (Bits{0, 0, 1, 1}));
  EXPECT_NE(state.params().weight(ParamId(0))[3], 1);
  EXPECT_EQ(state.params().weight(ParamId(0))[0], 0);
}

TEST(Snip, InvertPrunesTheBestFirst) {
  FakeState state = oracle_net();
  made_method({{"name", "snip"}, {"density", "0.5"}, {"invert", "true"}})->on_event(begin(), state);
  EXPECT_EQ(state.keep(0), (Bits{1, 1, 0, 0}));
  EXPECT_EQ(state.keep(1), (Bits{1, 0, 1, 0}));
}

TEST(Snip, BiasesGoFirstWhenTheyAreScored) {
  Model model = linear_layers({{2, 2}});
  ParamSpec bias;
  bias.name = bias.layer = "fc1.bias";
  bias.shape = {2};
  bias.role = ParamRole::Bias;
  model.params.push_back(bias);
  FakeState state(model);
  state.set_weight(0, {1, 2, 3, 4});
  state.answer = [](const ProbeRequest&) { return ProbeResult{1, {{1, 1, 1, 1}, {9, 9}}}; };
  made_method({{"name", "snip"}, {"density", "0.5"}, {"biases", "true"}})->on_event(begin(), state);
  EXPECT_EQ(state.keep(1), (Bits{0, 0}));
  EXPECT_EQ(state.keep(0), (Bits{0, 1, 1, 1}));
}

TEST(Snip, LastIsTheLastWeightAlsoWhenBiasesAreMasked) {
  for (const auto& [key, value] : {std::pair{"keep_dense", "[last]"}, std::pair{"layer_density", "[last=0.75]"}}) {
    Model model = linear_layers({{2, 2}, {2, 2}});
    ParamSpec bias;
    bias.name = bias.layer = "fc2.bias";
    bias.shape = {2};
    bias.role = ParamRole::Bias;
    model.params.push_back(bias);
    FakeState state(model);
    state.set_weight(0, {1, 2, 3, 4});
    state.set_weight(1, {1, 2, 3, 4});
    state.answer = [](const ProbeRequest&) { return ProbeResult{1, {{9, 9, 9, 9}, {1, 1, 1, 1}, {9, 9}}}; };
    made_method({{"name", "snip"}, {"density", "0.5"}, {"biases", "true"}, {key, value}})->on_event(begin(), state);
    EXPECT_EQ(count_ones(state.keep(1)), std::string(key) == "keep_dense" ? 4 : 3) << key;
    EXPECT_EQ(count_ones(state.keep(0)), 3) << key;
    EXPECT_EQ(state.keep(2), (Bits{0, 0})) << key;
  }
}

TEST(Snip, ADeadLayerIsReportedAndNotRepaired) {
  FakeState state = oracle_net();
  state.set_weight(0, {0, 0, 0, 0});
  made_method({{"name", "snip"}, {"density", "0.25"}})->on_event(begin(), state);
  EXPECT_EQ(count_ones(state.keep(0)), 0);
  EXPECT_EQ(state.logged("dead_layer"), 1);
}

TEST(Snip, NaNGradientsNameTheTensor) {
  FakeState state = oracle_net();
  state.answer = [](const ProbeRequest&) { return ProbeResult{1, {{1, 1, 1, 1}, {1, std::nanf(""), 1, 1}}}; };
  try {
    made_method({{"name", "snip"}, {"density", "0.5"}})->on_event(begin(), state);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("fc2.weight"), std::string::npos);
  }
}

// y = W2 W1 x with x = 1: R = sum of y, and its gradients with respect to the weights that are asked for.
ProbeResult linear_flow(const ProbeRequest& request) {
  const auto &w1 = request.weights.at(0), &w2 = request.weights.at(1);
  const float h0 = w1[0] + w1[1], h1 = w1[2] + w1[3];
  const float out0 = w2[0] + w2[2], out1 = w2[1] + w2[3];
  return {h0 * out0 + h1 * out1, {{out0, out0, out1, out1}, {h0, h1, h0, h1}}};
}

FakeState flow_net() {
  FakeState state(linear_layers({{2, 2}, {2, 2}}));
  state.set_weight(0, {1, -2, 3, .5f});
  state.set_weight(1, {-1, 2, .5f, 4});
  state.answer = linear_flow;
  return state;
}

TEST(SynFlow, FourRoundsMatchSpecificationOracle) {
  for (const char* normalise : {"auto", "none", "layer"}) {
    FakeState state = flow_net();
    made_method({{"name", "synflow"}, {"density", "0.25"}, {"iterations", "4"}, {"normalise", normalise}})
        ->on_event(begin(), state);
    EXPECT_EQ(state.keep(0), (Bits{0, 0, 1, 0})) << normalise;
    EXPECT_EQ(state.keep(1), (Bits{0, 0, 0, 1})) << normalise;
    EXPECT_EQ(state.params().weight(ParamId(0))[2], 3);
    EXPECT_EQ(state.params().weight(ParamId(1))[3], 4);
  }
}

TEST(SynFlow, ScoresOfTheFirstRoundMatchSpecificationOracle) {
  // Keeping k of 8 in one round shows the order of S1 = (1.5, 3, 18, 3), S2 = (3, 7, 1.5, 14).
  const std::vector<std::pair<const char*, std::pair<Bits, Bits>>> oracle = {{"0.75", {{0, 1, 1, 1}, {1, 1, 0, 1}}},
                                                                             {"0.375", {{0, 0, 1, 0}, {0, 1, 0, 1}}},
                                                                             {"0.125", {{0, 0, 1, 0}, {0, 0, 0, 0}}}};
  for (const auto& [density, masks] : oracle) {
    FakeState state = flow_net();
    made_method({{"name", "synflow"}, {"density", density}, {"iterations", "1"}})->on_event(begin(), state);
    EXPECT_EQ(state.keep(0), masks.first) << density;
    EXPECT_EQ(state.keep(1), masks.second) << density;
  }
}

TEST(SynFlow, ScheduleMatchesSpecificationOracle) {
  const std::vector<std::pair<std::int64_t, double>> oracle = {
      {0, .954993}, {1, .912011}, {49, .1}, {98, .010471}, {99, .01}};
  for (const auto& [i, density] : oracle) {
    EXPECT_NEAR(synflow_density(.01, i, 100), density, 5e-7) << i;
  }
}

TEST(SynFlow, FallsBackToNormalisedLayersWhenTheSumOverflowsAndElseStops) {
  FakeState state = flow_net();
  state.set_weight(0, {1e30f, -2e30f, 3e30f, .5e30f});
  state.set_weight(1, {-1e30f, 2e30f, .5e30f, 4e30f});
  made_method({{"name", "synflow"}, {"density", "0.25"}, {"iterations", "4"}})->on_event(begin(), state);
  EXPECT_EQ(state.keep(0), (Bits{0, 0, 1, 0}));
  EXPECT_GT(state.logged("synflow_normalised"), 0);

  FakeState zero = flow_net();
  zero.set_weight(1, {0, 0, 0, 0});
  EXPECT_THROW(made_method({{"name", "synflow"}, {"density", "0.25"}})->on_event(begin(), zero), Error);
}

TEST(RandomPruning, MasksFollowTheSeedAndTheCountRule) {
  const auto mask_of = [](std::uint64_t seed) {
    FakeState state(linear_layers({{300, 784}, {100, 300}, {10, 100}}));
    state.seed = seed;
    made_method({{"name", "random"}, {"density", "0.1"}, {"distribution", "uniform"}})->on_event(begin(), state);
    return state.keep(0);
  };
  const Bits mask = mask_of(1);
  EXPECT_EQ(count_ones(mask), 235200 - 211680);
  EXPECT_EQ(mask, mask_of(1));
  EXPECT_NE(mask, mask_of(2));
}

TEST(RandomPruning, ErkCountsMatchSpecificationOracle) {
  FakeState state(linear_layers({{300, 784}, {100, 300}, {10, 100}}));
  made_method({{"name", "random"}, {"density", "0.1"}})->on_event(begin(), state);
  EXPECT_EQ(count_ones(state.keep(0)), 18715);
  EXPECT_EQ(count_ones(state.keep(1)), 6906);
  EXPECT_EQ(count_ones(state.keep(2)), 1000);
  EXPECT_EQ(state.logged("full_layer"), 1);
}

TEST(RandomPruning, SparseInitialisationKeepsTheVarianceOfSums) {
  FakeState plain(linear_layers({{100, 100}})), sparse(linear_layers({{100, 100}}));
  made_method({{"name", "random"}, {"density", "0.25"}})->on_event(begin(), plain);
  made_method({{"name", "random"}, {"density", "0.25"}, {"init", "sparse"}})->on_event(begin(), sparse);
  for (std::size_t i = 0; i < 10000; ++i) {
    EXPECT_EQ(sparse.params().weight(ParamId(0))[i], 2 * plain.params().weight(ParamId(0))[i]);
  }
}

TEST(MaskAtInit, ShuffleInsideLayersKeepsTheirCounts) {
  const std::vector<Shape> shapes = {{40, 30}, {20, 40}};
  FakeState plain(linear_layers(shapes)), shuffled(linear_layers(shapes));
  made_method({{"name", "magnitude"}, {"density", "0.2"}})->on_event(begin(), plain);
  made_method({{"name", "magnitude"}, {"density", "0.2"}, {"shuffle", "layer"}})->on_event(begin(), shuffled);
  for (const std::size_t i : {0u, 1u}) {
    EXPECT_EQ(count_ones(plain.keep(i)), count_ones(shuffled.keep(i)));
    EXPECT_NE(plain.keep(i), shuffled.keep(i));
  }
}

}  // namespace
}  // namespace winnow
