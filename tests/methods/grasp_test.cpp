#include "experiments/methods/grasp.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "experiments/methods/registry.h"
#include "tests/methods/fake_state.h"
#include "tests/methods/trial_tools.h"

namespace winnow {
namespace {

constexpr GraspOptions kExact = {.temperature = 1, .redraw_linear = false};

// Gradient of the network of the specification's oracle: x = (1, 2), two linear layers of 2 x 2 without biases, a ReLU
// between them, cross-entropy of label 0 on logits over a temperature.
ProbeResult two_layers(const ProbeRequest& request) {
  const auto& w1 = request.double_weights[0];
  const auto& w2 = request.double_weights[1];
  const std::array<double, 2> x = {1, 2};
  std::array<double, 2> h, logits;
  for (std::size_t o = 0; o < 2; ++o) h[o] = std::max(0.0, w1[2 * o] * x[0] + w1[2 * o + 1] * x[1]);
  for (std::size_t o = 0; o < 2; ++o) logits[o] = (w2[2 * o] * h[0] + w2[2 * o + 1] * h[1]) / request.temperature;
  const double wrong = 1 / (1 + std::exp(logits[0] - logits[1]));
  const std::array<double, 2> d = {-wrong / request.temperature, wrong / request.temperature};
  ProbeResult result{-std::log(1 - wrong), {}, {std::vector<double>(4), std::vector<double>(4)}};
  for (std::size_t o = 0; o < 2; ++o) {
    const double back = h[o] > 0 ? d[0] * w2[o] + d[1] * w2[2 + o] : 0;
    for (std::size_t i = 0; i < 2; ++i) {
      result.double_grads[1][2 * o + i] = d[o] * h[i];
      result.double_grads[0][2 * o + i] = back * x[i];
    }
  }
  return result;
}

FakeState two_layer_state() {
  FakeState state(linear_layers({{2, 2}, {2, 2}}));
  state.set_weight(0, {1, -0.25f, 0.5f, 1});
  state.set_weight(1, {1, -1, 0.5f, 2});
  state.answer = two_layers;
  return state;
}

// `expected`: the specification's S over `norm`, which is minus w (H g).
void expect_flow(const std::vector<std::vector<double>>& flow, const std::vector<double>& expected, double tolerance,
                 double norm = 1) {
  std::size_t at = 0;
  for (const auto& layer : flow) {
    for (const double one : layer) {
      EXPECT_NEAR(-one / norm, expected[at], tolerance) << at;
      ++at;
    }
  }
}

TEST(Grasp, ScoresMatchSpecificationOracle) {
  FakeState state = two_layer_state();
  const auto tensors = pruned_tensors(state);
  expect_flow(gradient_flow(state, tensors, kExact),
              {-0.977587, 0.488794, -2.559435, -10.237742, -2.475459, -15.083688, 1.237729, -30.167376}, 4e-6);
  GraspOptions tempered = kExact;
  tempered.temperature = 200;
  const auto flow = gradient_flow(state, tensors, tempered);
  double sum = 0;
  for (const auto& layer : flow) sum = std::accumulate(layer.begin(), layer.end(), sum);
  expect_flow(flow, {-0.015112, 0.007556, -0.044299, -0.177197, -0.039559, -0.250389, 0.019779, -0.500778}, 1e-6,
              std::fabs(sum));
}

TEST(Grasp, KeepsTheHalfOfTheSpecificationOracle) {
  FakeState state = two_layer_state();
  Settings settings;
  settings.set("density", "0.5");
  settings.set("redraw_linear", "false");
  const auto method = find_method("grasp").make(resolve(find_method("grasp").schema, settings));
  method->on_event(begin(), state);
  EXPECT_EQ(state.keep(0), (std::vector<std::uint8_t>{0, 0, 1, 1}));
  EXPECT_EQ(state.keep(1), (std::vector<std::uint8_t>{0, 1, 0, 1}));
}

TEST(Grasp, AQuadraticLossGivesTheSpecificationsScores) {
  FakeState state(linear_layers({{2, 2}}));
  state.set_weight(0, {1, -1, 0.5f, 0.25f});
  state.answer = [](const ProbeRequest& request) {
    const double h[] = {1, 2, 4, 8}, b[] = {0.5, 0.5, 0.5, 3};
    ProbeResult result{0, {}, {std::vector<double>(4)}};
    for (std::size_t i = 0; i < 4; ++i) result.double_grads[0][i] = h[i] * request.double_weights[0][i] - b[i];
    return result;
  };
  expect_flow(gradient_flow(state, pruned_tensors(state), kExact), {-0.5, -5, -3, 2}, 1e-6);
  Settings settings;
  settings.set("density", "0.75");
  settings.set("redraw_linear", "false");
  find_method("grasp").make(resolve(find_method("grasp").schema, settings))->on_event(begin(), state);
  EXPECT_EQ(state.keep(0), (std::vector<std::uint8_t>{1, 1, 1, 0})) << "index 3 goes first";
}

// As in the official code: linear layers are scored with new values, Xavier normal, and trained from their own.
TEST(Grasp, LinearLayersAreScoredWithNewValues) {
  constexpr std::int64_t kIn = 120, kOut = 80;
  FakeState state(linear_layers({{kOut, kIn}}));
  const std::vector<float> own(static_cast<std::size_t>(kIn * kOut), 0.25f);
  state.set_weight(0, own);
  std::vector<std::vector<double>> asked;
  state.answer = [&](const ProbeRequest& request) {
    asked.push_back(request.double_weights[0]);
    return ProbeResult{0, {}, {request.double_weights[0]}};
  };
  gradient_flow(state, pruned_tensors(state), {.samples_per_class = 2});
  ASSERT_EQ(asked.size(), 3u);
  double sum = 0, squares = 0;
  for (const double w : asked[0]) {
    sum += w;
    squares += w * w;
  }
  const double count = static_cast<double>(asked[0].size()), variance = 2.0 / (kIn + kOut);
  EXPECT_NEAR(sum / count, 0, 4 * std::sqrt(variance / count));
  EXPECT_NEAR(squares / count / variance, 1, 4 * std::sqrt(2 / count));
  EXPECT_NE(asked[1], asked[0]) << "the other gradients are taken beside these values";
  const auto after = state.params().weight(ParamId(0));
  EXPECT_EQ(std::vector<float>(after.begin(), after.end()), own);
}

// Half the squared norm of each tensor's gradient on the examples that are scored, all weights times `factor`.
std::vector<double> half_norms(Trainer& trainer, const std::vector<PrunedTensor>& tensors, double factor) {
  ProbeRequest request{
      .input = ProbeRequest::Input::Balanced, .temperature = 200, .per_class = 2, .parts = 2, .in_double = true};
  request.double_weights.resize(trainer.params().size());
  for (const PrunedTensor& tensor : tensors) {
    auto& weights = request.double_weights[static_cast<std::size_t>(tensor.id)];
    for (const float w : trainer.params().weight(tensor.id)) weights.push_back(factor * static_cast<double>(w));
  }
  const ProbeResult result = trainer.probe(request);
  std::vector<double> norms;
  for (const PrunedTensor& tensor : tensors) {
    double& sum = norms.emplace_back();
    for (const double g : result.double_grads[static_cast<std::size_t>(tensor.id)]) sum += g * g / 2;
  }
  return norms;
}

// Sums of w (H g) by tensor.
std::vector<double> sums_of_flow(Trainer& trainer, const std::vector<PrunedTensor>& tensors) {
  std::vector<double> sums;
  for (const auto& layer : gradient_flow(trainer, tensors, {.samples_per_class = 2, .redraw_linear = false})) {
    sums.push_back(std::accumulate(layer.begin(), layer.end(), 0.0));
  }
  return sums;
}

double total(const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

// The sum of all w (H g) is how |g|^2 / 2 changes as all weights grow together: taken here from two gradients alone.
TEST(Grasp, TheSumIsTheChangeOfTheGradientsNorm) {
  auto trial = test::residual_trial({{"name", "dense"}}, {}, "lenet5");
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  const auto tensors = pruned_tensors(trainer);
  const double h = 1e-8;
  const double change =
      (total(half_norms(trainer, tensors, 1 + h)) - total(half_norms(trainer, tensors, 1 - h))) / (2 * h);
  EXPECT_NEAR(total(sums_of_flow(trainer, tensors)), change, 1e-4 * std::fabs(change));
}

// Behind batch norm the size of a weight does not matter: its gradient shrinks as it grows, and that of others stays. So
// the sum of w (H g) of such a tensor is -|g|^2 of it.
TEST(Grasp, BehindBatchNormEachTensorsSumIsItsGradientsNorm) {
  auto trial = test::residual_trial({{"name", "dense"}});
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  const auto tensors = pruned_tensors(trainer);
  const std::vector<double> norms = half_norms(trainer, tensors, 1), sums = sums_of_flow(trainer, tensors);
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    if (tensors[t].shape.rank() != 4) continue;
    EXPECT_NEAR(sums[t], -2 * norms[t], 2e-3 * norms[t]) << tensors[t].name;  // eps of batch norm
  }
}

TEST(Grasp, HalvesMustBeEqual) {
  const DataShape three_classes{16, 16, 3, 3};
  EXPECT_THROW(test::edited_model("lenet5", {}, {{"name", "grasp"}, {"density", "0.1"}, {"samples_per_class", "3"}},
                                  three_classes),
               Error);
  EXPECT_NO_THROW(test::edited_model("lenet5", {}, {{"name", "grasp"}, {"density", "0.1"}, {"samples_per_class", "4"}},
                                     three_classes));
}

}  // namespace
}  // namespace winnow
