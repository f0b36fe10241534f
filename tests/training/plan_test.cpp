// What `winnow plan` says that a trial will keep and compute is what its result says in the end.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "experiments/methods/registry.h"
#include "experiments/run/estimate.h"
#include "tests/training/whole_trial.h"

namespace winnow {
namespace {

using test::result_of;
using test::spec_of;

constexpr const char* kShort = "epochs: 2, batch: 32, lr: 0.01, precision: f32";

struct Compared {
  TrialEstimate plan;
  TrialResult result;
  double flops_ratio() const { return plan.flops / result.summary.at("flops.train"); }
};

// Expects the counts to be equal, or those of what is kept within this share; where they may be a bound and are, as one.
Compared compare(const TrialSpec& spec, const std::string& what, double share = 0, bool may_be_bound = false) {
  Compared both{estimate(spec), result_of(spec)};
  EXPECT_EQ(both.result.outcome, Outcome::Done) << what << ": " << both.result.reason;
  const auto value = [&](const char* name) { return both.result.summary.at(name); };
  EXPECT_EQ(static_cast<double>(both.plan.params), value("params.total")) << what;
  EXPECT_TRUE(may_be_bound || !both.plan.kept_at_most) << what;
  if (both.plan.kept_at_most) {
    EXPECT_GE(static_cast<double>(both.plan.kept), value("params.kept")) << what;
  } else {
    EXPECT_NEAR(static_cast<double>(both.plan.kept), value("params.kept"), share * value("params.kept")) << what;
  }
  EXPECT_EQ(static_cast<double>(both.plan.macs_dense), value("macs.dense")) << what;
  return both;
}

// The method as its own example shows it, with this density if it has one.
std::string example_of(const MethodDef& def, const std::string& density) {
  std::string text = "{name: " + def.name;
  for (const auto& [key, value] : def.example.settings) text += ", " + key + ": " + value;
  const auto is_density = [](const Setting& setting) { return setting.key == "density"; };
  if (std::ranges::any_of(def.schema, is_density)) text += ", density: " + density;
  return text + "}";
}

std::vector<std::string> method_names() {
  std::vector<std::string> names;
  for (const MethodDef& def : methods()) names.push_back(def.name);
  return names;
}

class PlanOfMethod : public testing::TestWithParam<std::string> {};

TEST_P(PlanOfMethod, IsWhatTheTrialKeeps) {
  const MethodDef& def = find_method(GetParam());
  std::set<std::string> seen;  // one trial for a method without density
  for (const char* density : {"0.1", "0.5", "1"}) {
    const std::string method = example_of(def, density);
    if (!seen.insert(method).second) continue;
    const Compared both =
        compare(spec_of(method, "epochs: 40it, batch: 32, lr: 0.01, precision: f32", "", def.example.model, 16), method,
                0, true);
    // How layers share a density that scores decide is not known before: they keep convolutions, which cost most.
    for (const auto& [name, value] : both.result.summary) {
      EXPECT_EQ(name.find("method.method."), std::string::npos) << name << " of " << method;
    }
    EXPECT_GT(both.flops_ratio(), 0.25) << method;
    EXPECT_LT(both.flops_ratio(), both.plan.kept_at_most ? HUGE_VAL : 1.35) << method;
  }
}

INSTANTIATE_TEST_SUITE_P(All, PlanOfMethod, testing::ValuesIn(method_names()),
                         [](const testing::TestParamInfo<std::string>& method) {
                           std::string name = method.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

TEST(Plan, CompositionsKeepWhatIsPlanned) {
  for (const char* method :
       {"{name: snip, density: 0.1, with: {interspace: {sharing: coarse}}}",
        "{name: freezenet, density: 0.1, with: {interspace: {basis: ortho}}}",
        "{name: freezenet, density: 0.1, init: model, with: {interspace: {train_basis: false}}}",
        "{name: freezenet, density: 0.2, with: [compander]}", "{name: magnitude, density: 0.1, with: [compander]}",
        "{name: rigl, density: 0.1, delta_t: 3it, with: {mixture_of_depths: {divisor: 4}}}",
        "{name: edge_popup, density: 0.3, with: {mixture_of_depths: {divisor: 4}}}",
        "{name: imp, density: 0.3, rate: 0.5, with: {wavelet_dropout: {modules: [3]}}}",
        "{name: interspace, train_basis: false}", "{name: compander, coefficients: fine}",
        "{name: synflow, density: 0.1, iterations: 3, with: {compander: {coefficients: coarse}}}",
        "{name: synflow, density: 0.1, iterations: 3, with: {mixture_of_depths: {divisor: 4}}}",
        "{name: set, density: 0.1, interval: 2it, with: {freezeout: {t0: 0.1, spread: linear}, compander: on}}",
        "{name: rigl, density: 0.1, delta_t: 2it, with: {freezeout: {t0: 0.1, spread: linear}}}"}) {
    // FreezeNet beside interspace pruning stores up to 0.2 % more values than foreseen.
    const bool frozen = std::string_view(method).find("freezenet") != std::string_view::npos;
    // What grew last, before its layer was frozen, may still be zero.
    const bool grown = std::string_view(method).find("freezeout") != std::string_view::npos;
    compare(spec_of(method, kShort, "", "resnet20", 8), method, frozen ? 2e-3 : grown ? 5e-3 : 0);
  }
}

TEST(Plan, SettingsThatSayWhatIsKeptAreHeeded) {
  for (const char* method :
       {"{name: magnitude, density: 0.001}", "{name: random, density: 0.001}", "{name: edge_popup, density: 0.5}",
        "{name: snip, density: 0.05, biases: true}", "{name: snip, density: 0.1, keep_dense: [last]}",
        "{name: gmp, density: 0.1, layer_density: ['fc3=0.5'], interval: 2it}",
        "{name: set, density: 0.2, density_over: all, keep_dense: [last], interval: 3it}",
        "{name: magnitude, density: 0.1, scope: layer}", "{name: freezenet, density: 0.1, variant: freeze_wd}",
        "{name: freezenet, density: 0.1, variant: snip}", "{name: freezenet, density: 0.1, reinit: both}",
        "{name: imp, density: 0.2, rate: 0.4, ignored: [last]}", "{name: imp, levels: 2, rate: 0.5, rewind_to: 3it}",
        "{name: imp, density: 0.1, rate: 0.9, back: nothing, fine_tune: 1ep}",
        "{name: random, density: 0.1, init: sparse}",
        "{name: oneshot, compression: 20, keep_dense: [last], fine_tune: {epochs: 5it}}",
        "{name: oneshot, density: 0.1, fine_tune: {epochs: 0}}"}) {
    compare(spec_of(method, kShort), method);
  }
}

// Where the counts of every layer are known before, so are the operations.
TEST(Plan, TheOperationsAreThoseOfTheResult) {
  for (const char* method :
       {"{name: dense}", "{name: random, density: 0.05}", "{name: rigl, density: 0.1, delta_t: 3it}",
        "{name: set, density: 0.1, interval: 2it}", "{name: gmp, density: 0.05, begin: 0.2, end: 0.8, interval: 2it}",
        "{name: gmp, density: 0.1, begin: 0.5, end: 0.5}", "{name: edge_popup, density: 0.3}",
        "{name: rigl, density: 1, delta_t: 3it}", "{name: magnitude, density: 0.1, scope: layer}",
        "{name: rigl, density: 0.1, delta_t: 3it, with: [compander]}", "{name: born_again}",
        "{name: rigl, density: 0.1, delta_t: 3it, with: [born_again]}",
        "{name: oneshot, density: 0.1, scope: layer, fine_tune: {epochs: 9it, lr: 0.01}}"}) {
    const Compared both = compare(spec_of(method, kShort), method);
    EXPECT_NEAR(both.flops_ratio(), 1, 1e-12) << method;
    // What grew last may still be zero.
    const double sparse = both.result.summary.at("macs.sparse");
    EXPECT_NEAR(static_cast<double>(both.plan.macs_sparse), sparse, 0.01 * sparse) << method;
  }
  // Scoring counts: 256 images are 8 batches.
  const Compared snip = compare(spec_of("{name: snip, density: 0.999, batches: 8}", kShort), "snip");
  EXPECT_NEAR(snip.plan.flops / compare(spec_of("{name: dense}", kShort), "dense").plan.flops, 1.5, 0.01);
}

// So do forward passes that measure running statistics anew, and training after them.
TEST(Plan, RecalibrationAndFineTuningAreCharged) {
  const char* method =
      "{name: oneshot, density: 0.1, scope: layer, recalibrate: 3, fine_tune: {epochs: 5it, lr: 0.01}}";
  const Compared both = compare(spec_of(method, kShort, "", "resnet20", 8), method);
  EXPECT_NEAR(both.flops_ratio(), 1, 1e-12);
  // Dense training, a third of 3 batches and 5 batches at about a tenth.
  const auto steps = both.result.summary.at("steps") - 5;
  EXPECT_NEAR(both.result.summary.at("flops.train_ratio"), 1 + (0.1 * 3 / 3 + 0.1 * 5) / steps, 0.02);
  EXPECT_NEAR(both.result.summary.at("search.flops_ratio"), 1, 0.02) << "all but fine-tuning";
  EXPECT_EQ(both.result.provenance.at("phases"), "train, prune, recalibrate, fine_tune");
  EXPECT_EQ(both.plan.phases.size(), 4u);
}

// A step computes with the masks it began with, whatever its end does to them.
TEST(Plan, AStepWhoseEndPrunesIsChargedAtTheDensityBefore) {
  const TrialSpec spec = spec_of("{name: gmp, density: 0.1, begin: 0.5, end: 0.5}", "epochs: 10it, batch: 32, lr: 0.01",
                                 "", "lenet300", 28);
  const Compared both = compare(spec, "gmp");
  EXPECT_NEAR(both.result.summary.at("flops.train_ratio"), 0.55, 1e-5);
}

// The last update comes an interval early rather than not at all.
TEST(Plan, GmpWhoseIntervalDoesNotDivideItsWindowEndsAtTheTarget) {
  const char* method = "{name: gmp, density: 0.05, begin: 0.1, end: 0.75, interval: 7it}";
  const Compared both = compare(spec_of(method, "epochs: 4, batch: 32, lr: 0.01"), method);
  EXPECT_NEAR(both.result.summary.at("density"), 0.05, 1e-4);
}

}  // namespace
}  // namespace winnow
