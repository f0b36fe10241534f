#include "experiments/methods/compose.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "experiments/methods/composite.h"
#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/density.h"
#include "fake_state.h"
#include "tests/methods/trial_tools.h"

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

TEST(Registry, AnUnknownMethodGetsTheNearestName) {
  EXPECT_NE(problem(given({{"name", "snap"}})).find("did you mean 'snip'"), std::string::npos);
}

// Notes the moments that it is told of; asks for one step after its update and for one with gradients.
class Listener final : public Method {
 public:
  Listener(std::int64_t after, std::int64_t with_gradients, std::vector<std::string>& heard)
      : after_(after), with_gradients_(with_gradients), heard_(heard) {}
  Touches touches() const override { return {}; }
  void schedule(EventPlan& plan, const RunLength&) const override {
    plan.after_step.at(after_);
    plan.after_backward.at(with_gradients_);
  }
  Verdict on_event(const Moment& moment, TrainState&) override {
    heard_.push_back(fmt::format("{} {}", name_of(moment.when), moment.step));
    return moment.when == When::AfterBackward ? Verdict::SkipUpdate : Verdict::Update;
  }

 private:
  std::int64_t after_, with_gradients_;
  std::vector<std::string>& heard_;
};

// So that a method which acts at its own step, whatever that is, acts there too beside another one with other steps.
TEST(Compose, APartHearsOnlyOfStepsThatItAskedFor) {
  std::vector<std::string> first, second;
  std::vector<Composite::Part> parts;
  parts.push_back({"a", std::make_unique<Listener>(3, 7, first)});
  parts.push_back({"b", std::make_unique<Listener>(5, 8, second)});
  Composite both(std::move(parts));
  EventPlan plan;
  both.schedule(plan, RunLength{10, 5});
  FakeState state(linear_layers({{2, 2}}));
  EXPECT_TRUE(plan.after_step.contains(3) && plan.after_step.contains(5));
  for (const std::int64_t step : {3, 5}) both.on_event({When::AfterStep, step, 0, 0}, state);
  EXPECT_EQ(both.on_event({When::AfterBackward, 7, 1, 0}, state), Verdict::SkipUpdate);
  EXPECT_EQ(both.on_event({When::AfterBackward, 9, 1, 0}, state), Verdict::Update) << "nobody asked";
  both.on_event({When::EpochEnd, 10, 2, 0}, state);
  EXPECT_EQ(first, (std::vector<std::string>{"AfterStep 3", "AfterBackward 7", "EpochEnd 10"}));
  EXPECT_EQ(second, (std::vector<std::string>{"AfterStep 5", "EpochEnd 10"}));
}

TEST(Compose, TwoMethodsThatDoTheSameAreRefusedWithTheReason) {
  const auto beside = [](const char* name, const char* other) {
    Settings settings;
    settings.set("name", name);
    settings.set("with." + std::string(other), "on");
    for (const auto& [method, prefix] :
         {std::pair<std::string, std::string>{name, ""}, {other, "with." + std::string(other) + "."}}) {
      for (const Setting& setting : find_method(method).schema) {
        if (!setting.fallback) settings.set(prefix + setting.key, "0.5");
      }
    }
    return problem(settings);
  };
  EXPECT_EQ(beside("rigl", "snip"), "method.with: rigl and snip both decide which weights are kept");
  EXPECT_EQ(beside("rigl", "rigl"), "method.with: rigl is given twice");
  EXPECT_EQ(beside("edge_popup", "imp"), "method.with: edge_popup and imp both decide which weights are kept");
  EXPECT_EQ(beside("compander", "interspace"),
            "method.with: compander and interspace both replace what the layers read as their weights");
  EXPECT_EQ(beside("dense", "rigl"), "");
  EXPECT_EQ(beside("rigl", "compander"), "");
}

// What a method finds in the network when it edits it, after the other one.
std::string edit_problem(const test::Pairs& method) {
  try {
    test::edited_model("resnet20", {}, method, {32, 32, 3, 10});
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Settings);
    return error.what();
  }
  return "";
}

TEST(Compose, NewInitialWeightsUnderAReparametrisationAreRefused) {
  for (const char* other : {"with.interspace", "with.compander"}) {
    EXPECT_NE(edit_problem({{"name", "snip"}, {"density", "0.5"}, {"reinit", "true"}, {other, "on"}})
                  .find("method.reinit: draws initial weights anew"),
              std::string::npos);
    for (const char* part : {"frozen", "trained", "both"}) {
      EXPECT_NE(edit_problem({{"name", "freezenet"}, {"density", "0.5"}, {"reinit", part}, {other, "on"}}), "") << part;
    }
    EXPECT_NE(edit_problem({{"name", "imp"}, {"control", "reinitialise"}, {other, "on"}}), "");
    EXPECT_EQ(edit_problem({{"name", "snip"}, {"density", "0.5"}, {other, "on"}}), "");
    EXPECT_EQ(edit_problem({{"name", "freezenet"}, {"density", "0.5"}, {other, "on"}}), "");
  }
}

TEST(Compose, DecayOfFrozenWeightsNeedsADecayThatReachesThem) {
  const auto with = [](const char* coefficients) {
    return edit_problem({{"name", "freezenet"},
                         {"density", "0.5"},
                         {"variant", "freeze_wd"},
                         {"with.compander.coefficients", coefficients}});
  };
  EXPECT_NE(with("fixed").find("freeze_wd decays frozen weights, but another method"), std::string::npos);
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
  void schedule(EventPlan& plan, const RunLength&) const override { plan.after_backward.at(std::stoll(mark_)); }
  Verdict on_event(const Moment&, TrainState&) override {
    calls_ += mark_;
    return mark_ == "1" ? Verdict::SkipUpdate : Verdict::Update;
  }
  void save(StateWriter& out) const override { out.put_text("mark", mark_); }
  void load(StateReader& in) override { EXPECT_EQ(in.get_text("mark"), mark_); }

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
  EXPECT_TRUE(plan.after_backward.contains(1) && plan.after_backward.contains(3));
  EXPECT_FALSE(plan.after_backward.contains(4) || plan.after_step.contains(1));
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
