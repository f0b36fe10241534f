#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "core/error.h"
#include "experiments/methods/compose.h"
#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/density.h"
#include "experiments/methods/toolkit/mask_tools.h"
#include "experiments/methods/toolkit/selection.h"
#include "tests/core/run_graph.h"
#include "tests/methods/fake_state.h"
#include "tests/methods/trial_tools.h"

namespace winnow {
namespace {

TEST(Interspace, CombinationAndGradientsMatchSpecificationOracle) {
  test::Bench bench;
  const ValueId lambda = bench.leaf("lambda", {2, 1, 2, 2}, {2, 0, 1, 0, 0, -1, 0, 3});
  const ValueId basis = bench.leaf("basis", {4, 4}, {1, 0, 0, 0, 0, 1, 0, 0, .5f, 0, 1, 0, 0, 0, -.5f, 1});
  const ValueId h = bench.graph.emit1("basis_combine", {lambda, basis}, {}, "h");
  EXPECT_EQ(bench.eval(h), (std::vector<float>{2.5f, 0, 1, 0, 0, -1, -1.5f, 3}));
  const auto grads = bench.gradients(h, {1, 2, 3, 4, 0, 1, 0, -1}, {lambda, basis});
  EXPECT_EQ(grads[0], (std::vector<float>{1, 2, 3.5f, 2.5f, 0, 1, 0, -1}));
  EXPECT_EQ(grads[1], (std::vector<float>{2, 4, 6, 8, 0, -1, 0, 1, 1, 2, 3, 4, 0, 3, 0, -3}));
}

TEST(Interspace, IdentityBasisGivesTheCoefficientsBitForBit) {
  test::Bench bench;
  std::vector<float> values(5 * 4 * 9), identity(81, 0.0f);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::sin(static_cast<float>(i)) * 1e-3f;
  for (std::size_t i = 0; i < 9; ++i) identity[10 * i] = 1;
  const ValueId lambda = bench.leaf("lambda", {5, 4, 3, 3}, values), basis = bench.leaf("basis", {9, 9}, identity);
  const ValueId h = bench.graph.emit1("basis_combine", {lambda, basis}, {}, "h");
  EXPECT_EQ(bench.eval(h), values);
  EXPECT_EQ(bench.gradients(h, values, {lambda})[0], values);
}

TEST(Interspace, GradientOfASharedBasisIsTheSumOverLayers) {
  test::Bench bench;
  const ValueId x = bench.leaf("x", {1, 1, 2, 2}, {1, 2, 3, 4}), y = bench.leaf("y", {1, 1, 2, 2}, {-1, 0, 1, 2});
  const ValueId basis = bench.leaf("basis", {4, 4}, std::vector<float>(16, 1.0f));
  const ValueId sum = bench.graph.emit1("add", {bench.graph.emit1("basis_combine", {x, basis}, {}, "a"),
                                                bench.graph.emit1("basis_combine", {y, basis}, {}, "b")});
  test::expect_near(bench.gradients(sum, {1, 0, 0, 2}, {basis})[0], {0, 0, 0, 0, 2, 0, 0, 4, 4, 0, 0, 8, 6, 0, 0, 12});
}

TEST(Interspace, FrozenIdentityTrainsAsPlainPruningBitForBit) {
  auto plain = test::residual_trial({{"name", "snip"}, {"density", "0.1"}}, {{"weight_decay", "1e-4"}});
  auto inter = test::residual_trial({{"name", "snip"},
                                     {"density", "0.1"},
                                     {"with.interspace", "on"},
                                     {"with.interspace.train_basis", "false"},
                                     {"with.interspace.equal_parameters", "false"}},
                                    {{"weight_decay", "1e-4"}});
  Trainer a = plain.make(), b = inter.make();
  a.start_phase(0);
  b.start_phase(0);
  for (int step = 0; step < 15; ++step) EXPECT_EQ(a.train_step().loss, b.train_step().loss) << step;
  EXPECT_EQ(test::copy_of(a, "stage1.block0.conv1.weight"), test::copy_of(b, "stage1.block0.conv1.weight"));
}

TEST(Interspace, OrthonormalStartComputesTheSameFunction) {
  auto plain = test::residual_trial({{"name", "dense"}});
  for (const char* sharing : {"fine", "medium", "coarse"}) {
    auto inter = test::residual_trial({{"name", "interspace"}, {"basis", "ortho"}, {"sharing", sharing}});
    Trainer a = plain.make(), b = inter.make();
    a.start_phase(0);
    b.start_phase(0);
    const auto wa = a.effective_weights(), wb = b.effective_weights();
    for (std::size_t i = 0; i < wa.size(); ++i) EXPECT_LT(test::largest_difference(wa[i].values, wb[i].values), 2e-6);
    EXPECT_GT(test::largest_difference(test::copy_of(a, "conv1.weight"), test::copy_of(b, "conv1.weight")), 1e-2);
    EXPECT_NEAR(a.train_step().loss, b.train_step().loss, 1e-4);
  }
}

TEST(Interspace, BasesAreSharedAsTheSettingSays) {
  const auto bases = [](const char* sharing) {
    const Model model =
        test::edited_model("vgg16", {}, {{"name", "interspace"}, {"sharing", sharing}}, {32, 32, 3, 10});
    std::int64_t count = 0;
    for (const ParamSpec& spec : model.params) count += spec.role == ParamRole::Basis ? spec.shape.numel() : 0;
    return count;
  };
  EXPECT_EQ(bases("fine"), 1053);
  EXPECT_EQ(bases("medium"), 5 * 81);
  EXPECT_EQ(bases("coarse"), 81);
}

TEST(Interspace, EqualParametersTakesTheBasesFromTheCoefficients) {
  const auto kept = [](const char* equal) {
    auto trial = test::residual_trial({{"name", "magnitude"},
                                       {"density", "0.05"},
                                       {"with.interspace", "on"},
                                       {"with.interspace.sharing", "coarse"},
                                       {"with.interspace.equal_parameters", equal}});
    Trainer trainer = trial.make();
    trainer.start_phase(0);
    std::int64_t count = 0;
    for (const ParamId id : trainer.prunable()) count += trainer.params().count(id, MaskKind::Keep);
    return count;
  };
  EXPECT_EQ(kept("false") - kept("true"), 81);
}

// A layer of two filters in the basis of the specification's oracle, whose rows have the norms 1,
// 1, sqrt(1.25), sqrt(1.25).
FakeState oblique_filters(bool scaled) {
  Model model = linear_layers({{2, 4}, {4, 4}});
  model.params[1].prunable = false;
  if (scaled) model.params[0].compared = times_row_norms_of(ParamId(1));
  FakeState state(model);
  state.set_weight(0, {1.1f, -.1f, 1, -.2f, -1.1f, .2f, -1, .1f});
  state.set_weight(1, {1, 0, 0, 0, 0, 1, 0, 0, .5f, 0, 1, 0, 0, 0, -.5f, 1});
  return state;
}

TEST(Interspace, ScaledMagnitudesCountTheNormOfTheBasisFilters) {
  const auto kept = [](const test::Pairs& settings, const Moment& moment, bool scaled) {
    FakeState state = oblique_filters(scaled);
    std::map<std::string, std::string, std::less<>> given(settings.begin(), settings.end());
    given.try_emplace("density", "0.25");
    state.at_step = moment.step;
    make_method(Settings(std::move(given)))->on_event(moment, state);
    return state.keep(0);
  };
  const Bits plain{1, 0, 0, 0, 1, 0, 0, 0}, scaled{0, 0, 1, 0, 0, 0, 1, 0};
  for (const auto& [settings, moment] :
       {std::pair<test::Pairs, Moment>{{{"name", "magnitude"}}, begin()},
        {{{"name", "gmp"}, {"begin", "0.5"}, {"end", "0.5"}}, {When::AfterStep, 500, 5, 0}},
        {{{"name", "imp"}, {"rate", "0.75"}}, {When::PhaseEnd, 1000, 10, 0}}}) {
    EXPECT_EQ(kept(settings, moment, false), plain) << settings[0].second;
    EXPECT_EQ(kept(settings, moment, true), scaled) << settings[0].second;
  }
}

TEST(Interspace, OnlyTheSettingScalesAndOnlyCoefficients) {
  for (const char* on : {"false", "true"}) {
    const Model model = test::edited_model(
        "resnet18", {}, {{"name", "magnitude"}, {"density", "0.1"}, {"with.interspace.scale_by_norm", on}},
        {32, 32, 3, 10});
    std::int64_t scaled = 0, coefficients = 0;
    for (const ParamSpec& spec : model.params) {
      coefficients += spec.role == ParamRole::Coefficient;
      if (!spec.compared) continue;
      ++scaled;
      EXPECT_EQ(spec.role, ParamRole::Coefficient);
    }
    EXPECT_EQ(scaled, on == std::string("true") ? coefficients : 0);
    EXPECT_GT(coefficients, 0);
  }
}

constexpr DataShape kCifar10{32, 32, 3, 10};

std::vector<PrunedTensor> interspace_tensors(const std::string& model) {
  return pruned_tensors(test::edited_model(model, {}, {{"name", "interspace"}}, kCifar10).params);
}

std::vector<PrunedTensor> free_of_cost(std::vector<PrunedTensor> tensors) {
  for (PrunedTensor& tensor : tensors) tensor.cost = 0;
  return tensors;
}

TEST(Interspace, BudgetOfVggMatchesSpecificationOracle) {
  std::vector<PrunedTensor> tensors = interspace_tensors("vgg16");
  std::erase_if(tensors, [](const PrunedTensor& t) { return t.shape.rank() != 4; });
  ASSERT_EQ(tensors.size(), 13u);
  DensityTarget target;
  target.sparsity.resize(13);
  target.shared = .99;
  EXPECT_EQ(target.counts(free_of_cost(tensors)).shared, 147105);
  EXPECT_EQ(target.counts(tensors).shared, 146052);
}

TEST(Interspace, UnderPerLayerRulesAllLayersPayForTheBasesInProportion) {
  const std::vector<PrunedTensor> tensors = interspace_tensors("resnet20");
  for (const char* distribution : {"uniform", "erk"}) {
    const Settings gmp =
        test::resolved(find_method("gmp").schema, {{"density", "0.02"}, {"distribution", distribution}});
    const DensityTarget target = density_target(gmp, tensors, Scope::Layer);
    const auto plain = target.counts(free_of_cost(tensors)).own, paid = target.counts(tensors).own;
    std::int64_t before = 0, after = 0;
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      before += *plain[t];
      after += *paid[t];
    }
    EXPECT_EQ(before - after, 19 * 81);
    const double left = static_cast<double>(after) / static_cast<double>(before);
    for (std::size_t t = 0; t < tensors.size(); ++t)
      EXPECT_NEAR(static_cast<double>(*paid[t]), left * static_cast<double>(*plain[t]), 1.5);
  }
}

TEST(Interspace, ADensityThatDoesNotPayForTheBasesIsRefusedWhenPlanned) {
  const auto problem = [](const test::Pairs& pairs) -> std::string {
    Settings method;
    for (const auto& [key, text] : pairs) method.set(key, text);
    try {
      const Model model = test::edited_model("resnet20", {}, pairs, kCifar10);
      return check_density(model, method).value_or("");
    } catch (const Error& error) {
      return error.what();
    }
  };
  for (const char* name : {"gmp", "snip", "imp"}) {
    const auto with = [&](const char* density) {
      return problem({{"name", name}, {"density", density}, {"with.interspace", "on"}});
    };
    EXPECT_NE(with("0.005").find("do not pay for the 1539 parameters of the filter bases"), std::string::npos)
        << name << with("0.005");
    EXPECT_EQ(with("0.02"), "") << name;
  }
}

TEST(Interspace, AStartFileOfInterspaceGoesOnWhereItEnded) {
  for (const char* basis : {"standard", "ortho"}) {
    auto first = test::residual_trial({{"name", "interspace"}, {"basis", basis}});
    auto second = test::residual_trial({{"name", "interspace"}, {"basis", basis}});
    Trainer a = first.make();
    a.start_phase(0);
    for (int step = 0; step < 3; ++step) a.train_step();
    for (const ParamSpec& spec : a.params().specs()) second.start[spec.name] = test::copy_of(a, spec.name);
    Trainer b = second.make();
    b.start_phase(0);
    EXPECT_EQ(test::all_weights(a), test::all_weights(b)) << basis;
  }
}

TEST(Interspace, AStartFileOfAPlainNetworkIsTakenApart) {
  auto plain = test::residual_trial({{"name", "dense"}});
  auto inter = test::residual_trial({{"name", "interspace"}, {"basis", "ortho"}});
  Trainer a = plain.make();
  a.start_phase(0);
  for (int step = 0; step < 3; ++step) a.train_step();
  for (const ParamSpec& spec : a.params().specs()) inter.start[spec.name] = test::copy_of(a, spec.name);
  Trainer b = inter.make();
  b.start_phase(0);
  const auto wa = a.effective_weights(), wb = b.effective_weights();
  for (std::size_t i = 0; i < wa.size(); ++i) EXPECT_LT(test::largest_difference(wa[i].values, wb[i].values), 2e-6);
}

TEST(Interspace, SynFlowScoresReadAbsoluteCoefficientsAndBases) {
  auto trial = test::residual_trial(
      {{"name", "synflow"}, {"density", "0.02"}, {"with.interspace", "on"}, {"with.interspace.basis", "ortho"}});
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  for (const ParamId id : trainer.prunable()) EXPECT_GT(trainer.params().count(id, MaskKind::Keep), 0);
}

TEST(Interspace, SparseCoefficientsTrainToDenseFilters) {
  auto trial = test::residual_trial(
      {{"name", "snip"}, {"density", "0.1"}, {"with.interspace", "on"}, {"with.interspace.renorm", "true"}},
      {{"epochs", "4"}});
  Trainer trainer = trial.make();
  EXPECT_FALSE(trainer.run().diverged);
  EXPECT_GT(trainer.evaluate(Split::Test).accuracy, .3);
  // A filter is zero only if all its coefficients are; any kept one makes it dense.
  const auto zeros = [](std::span<const float> values) { return std::count(values.begin(), values.end(), 0.0f); };
  const auto coefficients = test::copy_of(trainer, "stage1.block0.conv2.weight");
  std::ptrdiff_t partly = 0;
  for (const auto& layer : trainer.effective_weights()) {
    if (layer.layer != "stage1.block0.conv2") continue;
    for (std::size_t at = 0; at < coefficients.size(); at += 9) {
      const auto dropped = zeros(std::span(coefficients).subspan(at, 9));
      EXPECT_EQ(zeros(std::span(layer.values).subspan(at, 9)), dropped == 9 ? 9 : 0);
      partly += dropped > 0 && dropped < 9;
    }
  }
  EXPECT_GT(partly, 100);
  const auto basis = test::copy_of(trainer, "conv1.basis");
  for (std::size_t k = 0; k < 9; ++k) {
    double square = 0;
    for (std::size_t m = 0; m < 9; ++m)
      square += static_cast<double>(basis[9 * k + m]) * static_cast<double>(basis[9 * k + m]);
    EXPECT_NEAR(square, 1, 1e-5);
  }
}

}  // namespace
}  // namespace winnow
