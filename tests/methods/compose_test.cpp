#include "experiments/methods/compose.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "experiments/methods/composite.h"
#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/density.h"
#include "fake_state.h"

namespace winnow {
namespace {

Settings given(std::map<std::string, std::string, std::less<>> settings) { return Settings(std::move(settings)); }

std::string problem(const Settings& settings) {
  try {
    make_method(settings);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Registry, EverySettingSaysWhatItMeansAndWhereItIsFrom) {
  for (const MethodDef& def : methods()) {
    EXPECT_FALSE(def.meaning.empty()) << def.name;
    EXPECT_FALSE(def.source.empty()) << def.name;
    for (const Setting& setting : def.schema) {
      EXPECT_FALSE(setting.meaning.empty()) << def.name << "." << setting.key;
      EXPECT_FALSE(setting.source.empty()) << def.name << "." << setting.key;
    }
  }
}

TEST(Registry, MethodsDoWhatTheirEntrySays) {
  for (const MethodDef& def : methods()) {
    Settings settings;
    for (const Setting& setting : def.schema) {
      if (!setting.fallback) settings.set(setting.key, "0.5");
    }
    const Touches made = def.make(resolve(def.schema, settings))->touches();
    EXPECT_LE(made.masks, def.touches.masks) << def.name;
    EXPECT_LE(made.structure, def.touches.structure) << def.name;
    EXPECT_LE(made.weights_source, def.touches.weights_source) << def.name;
  }
}

TEST(Registry, AnUnknownMethodGetsTheNearestName) {
  EXPECT_NE(problem(given({{"name", "snap"}})).find("did you mean 'snip'"), std::string::npos);
}

TEST(Compose, TwoMethodsThatChooseWeightsAreRefusedWithTheReason) {
  EXPECT_EQ(cannot_compose({"rigl", "snip"}), "rigl and snip both decide which weights are kept");
  EXPECT_EQ(cannot_compose({"rigl", "rigl"}), "rigl is given twice");
  EXPECT_EQ(cannot_compose({"rigl"}), std::nullopt);
  EXPECT_EQ(cannot_compose({"dense", "rigl"}), std::nullopt);
  EXPECT_NE(problem(given({{"name", "rigl"}, {"density", "0.5"}, {"with.snip", "on"}, {"with.snip.density", "0.5"}}))
                .find("both decide"),
            std::string::npos);
}

TEST(Compose, NewInitialWeightsUnderAReparametrisationAreRefused) {
  for (const char* other : {"with.interspace", "with.compander"}) {
    EXPECT_NE(problem(given({{"name", "snip"}, {"density", "0.5"}, {"reinit", "true"}, {other, "on"}}))
                  .find("snip draws initial weights anew"),
              std::string::npos);
    for (const char* part : {"frozen", "trained", "both"}) {
      EXPECT_NE(problem(given({{"name", "freezenet"}, {"density", "0.5"}, {"reinit", part}, {other, "on"}})), "")
          << part;
    }
    EXPECT_NE(problem(given({{"name", "imp"}, {"control", "reinitialise"}, {other, "on"}})), "");
    EXPECT_EQ(problem(given({{"name", "snip"}, {"density", "0.5"}, {other, "on"}})), "");
    EXPECT_EQ(problem(given({{"name", "freezenet"}, {"density", "0.5"}, {other, "on"}})), "");
  }
}

TEST(Compose, DecayOfFrozenWeightsNeedsADecayThatReachesThem) {
  const auto with = [](const char* coefficients) {
    return problem(given({{"name", "freezenet"},
                          {"density", "0.5"},
                          {"variant", "freeze_wd"},
                          {"with.compander.coefficients", coefficients}}));
  };
  EXPECT_NE(with("fixed").find("freezenet decays frozen weights, but compander"), std::string::npos);
  EXPECT_EQ(with("fine"), "");
}

TEST(Compose, ProblemsNameTheFullKey) {
  EXPECT_NE(problem(given({{"name", "snip"}, {"density", "2"}})).find("method.density"), std::string::npos);
  EXPECT_NE(problem(given({{"name", "dense"}, {"with.snip.density", "2"}})).find("method.with.snip.density"),
            std::string::npos);
}

TEST(Compose, MethodsSwitchedOffAreLeftOut) {
  const auto parts = method_parts(given({{"name", "snip"}, {"density", "0.5"}, {"with.rigl", "off"}}));
  EXPECT_EQ(parts.size(), 1u);
}

// Marks what a part of a composition was asked.
class Recording final : public Method {
 public:
  Recording(Touches touches, std::string mark, std::string& calls)
      : touches_(touches), mark_(std::move(mark)), calls_(calls) {}
  Touches touches() const override { return touches_; }
  void schedule(EventPlan& plan, const RunLength&) const override {
    plan.after_backward([this](std::int64_t step) { return std::to_string(step) == mark_; });
  }
  Verdict on_event(const Moment&, TrainState&) override {
    calls_ += mark_;
    return mark_ == "1" ? Verdict::SkipUpdate : Verdict::Update;
  }
  void save(StateWriter& out) const override { out.put_value("mark", mark_[0]); }
  void load(StateReader& in) override { EXPECT_EQ(in.get_value<char>("mark"), mark_[0]); }

 private:
  Touches touches_;
  std::string mark_;
  std::string& calls_;
};

TEST(Composite, RunsStructureFirstMasksLastAndJoinsWishes) {
  std::string calls;
  std::vector<Composite::Part> parts;
  const auto add = [&](const char* name, Touches touches, const char* mark) {
    parts.push_back({name, std::make_unique<Recording>(touches, mark, calls)});
  };
  add("a", {.masks = true}, "3");
  add("b", {.structure = true}, "1");
  add("c", {.weights_source = true}, "2");
  Composite all(std::move(parts));
  FakeState state(linear_layers({{2, 2}}));
  EXPECT_EQ(all.on_event(begin(), state), Verdict::SkipUpdate);
  EXPECT_EQ(calls, "123");
  EventPlan plan;
  all.schedule(plan, state.run);
  EXPECT_TRUE(plan.wants_after_backward(1) && plan.wants_after_backward(3));
  EXPECT_FALSE(plan.wants_after_backward(4) || plan.wants_after_step(1));
  MemoryState saved;
  all.save(saved);
  all.load(saved);
  EXPECT_TRUE(saved.unread().empty());
  EXPECT_TRUE(all.touches().masks && all.touches().structure && all.touches().weights_source);
}

TEST(CheckDensity, SaysWhatCanBeReachedWhenLayersAreFixed) {
  const Model model = linear_layers({{30, 30}, {10, 10}});
  const auto check = [&](const char* density, const char* over) {
    return check_density(
        model, given({{"name", "snip"}, {"density", density}, {"keep_dense", "[last]"}, {"density_over", over}}));
  };
  EXPECT_EQ(check("0.05", "rest"), std::nullopt);
  EXPECT_EQ(check("0.2", "all"), std::nullopt);
  const auto reason = check("0.05", "all");
  ASSERT_TRUE(reason);
  EXPECT_NE(reason->find("reachable: (0.1, 1]"), std::string::npos) << *reason;
}

TEST(CheckDensity, DensityOverAllCountsTheFixedLayers) {
  FakeState state(linear_layers({{30, 30}, {10, 10}}));
  make_method(given({{"name", "random"},
                     {"density", "0.2"},
                     {"distribution", "uniform"},
                     {"keep_dense", "[fc2]"},
                     {"density_over", "all"}}))
      ->on_event(begin(), state);
  EXPECT_EQ(count_ones(state.keep(0)), 100);
  EXPECT_EQ(count_ones(state.keep(1)), 100);
}

TEST(CheckDensity, UnknownLayersGetTheNearestName) {
  const Model model = linear_layers({{30, 30}, {10, 10}});
  const auto reason = check_density(model, given({{"name", "rigl"}, {"density", "0.1"}, {"keep_dense", "[fc9]"}}));
  ASSERT_TRUE(reason);
  EXPECT_NE(reason->find("method.keep_dense: no prunable layer 'fc9'; did you mean"), std::string::npos) << *reason;
  EXPECT_TRUE(check_density(model, given({{"name", "rigl"}, {"density", "0.1"}, {"layer_density", "[fc1=7]"}})));
}

}  // namespace
}  // namespace winnow
