// A trial that stops before any step and goes on in a fresh Trainer ends with the same bits as one that was never
// stopped: every registered method, every composition of two, every phase. A new method is picked up by its entry.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "core/optimizers/optimizer_rule.h"
#include "core/touched.h"
#include "tests/training/resumed.h"

namespace winnow {
namespace {

using test::expect_equal_after_stops;
using test::Process;
using test::Recipe;

// False if the two do not work together in some graph, which a sweep says.
bool work_together(const Recipe& recipe) {
  Settings settings;
  for (const auto& [key, text] : recipe.method) settings.set(key, text);
  const ModelDef& def = find_model(recipe.model);
  const Model model = def.build(test::resolved(def.schema, {}), {16, 16, 3, 10}, 1, DType::F32);
  try {
    const std::unique_ptr<Method> method = make_method(settings);
    touched_by(*method, model, test::resolved(train_schema(), {}));
  } catch (const Error&) {
    return false;
  }
  return true;
}

class Resume : public testing::TestWithParam<Recipe> {};

// One batch a process: every place between two steps, at and between the ends of epochs and phases.
TEST_P(Resume, EndsWithTheSameBitsWhereverItStops) { expect_equal_after_stops(GetParam(), {1}); }

TEST_P(Resume, EndsWithTheSameBitsUnderAdam) {
  expect_equal_after_stops(GetParam(), {1, 3, 5}, {{"optimizer", "adam"}, {"lr", "0.001"}});
}

// Masks that change, snapshots and fresh state, under every optimiser there is.
class ResumeOfOptimizer : public testing::TestWithParam<std::string> {};

TEST_P(ResumeOfOptimizer, EndsWithTheSameBits) {
  for (const char* name : {"rigl", "imp", "slimming"}) {
    expect_equal_after_stops(test::recipe_of(find_method(name)), {1, 3, 5},
                             {{"optimizer", GetParam()}, {"lr", "0.001"}});
  }
}

std::vector<std::string> optimizer_names() {
  std::vector<std::string> names;
  for (const OptimizerRule& rule : optimizers()) names.emplace_back(rule.name);
  return names;
}
INSTANTIATE_TEST_SUITE_P(All, ResumeOfOptimizer, testing::ValuesIn(optimizer_names()),
                         [](const auto& optimizer) { return optimizer.param; });

// A batch that is run twice: with masks that change in place of weights, with parameters that rest, with coefficients.
TEST(Resume, EndsWithTheSameBitsUnderAnOptimiserOfTwoPasses) {
  for (const char* name : {"rigl", "freezeout", "compander"}) {
    expect_equal_after_stops(test::recipe_of(find_method(name)), {1, 3, 5}, {{"optimizer", "sam"}, {"rho", "0.1"}});
  }
}

// Each method with some others: those that stand 1, 2, 4, 8, ... places behind it in the list, as if it were a ring; all of
// them if WINNOW_EVERY_PAIR is set. Where `a with b` does not work `b with a` may. One case for all of them: which pairs work
// is found by trying, and a process for each pair would try all of them.
TEST_P(Resume, EndsWithTheSameBitsBesideOtherMethods) {
  const auto& all = methods();
  const MethodDef& one = find_method(GetParam().method.front().second);
  const auto place = static_cast<std::size_t>(std::ranges::find(all, one.name, &MethodDef::name) - all.begin());
  const bool every = std::getenv("WINNOW_EVERY_PAIR") != nullptr;
  for (std::size_t apart = 1; apart < all.size(); apart = every ? apart + 1 : 2 * apart) {
    const MethodDef& other = all[(place + apart) % all.size()];
    for (const Recipe& recipe : {test::recipe_of(one, &other), test::recipe_of(other, &one)}) {
      if (!work_together(recipe)) continue;
      SCOPED_TRACE(recipe.name);
      ASSERT_NO_FATAL_FAILURE(expect_equal_after_stops(recipe, {1, 3, 4}));
      break;
    }
  }
}

// The loop above passes over pairs that are refused; that it finds the others is seen here.
TEST(Resume, FindsThePairsThatWork) {
  const auto pair = [](const char* main, const char* with) {
    return work_together(test::recipe_of(find_method(main), &find_method(with)));
  };
  EXPECT_TRUE(pair("magnitude", "interspace"));
  EXPECT_TRUE(pair("rigl", "mixture_of_depths"));
  EXPECT_FALSE(pair("rigl", "set"));
}

const auto kName = [](const testing::TestParamInfo<Recipe>& recipe) { return recipe.param.name; };
INSTANTIATE_TEST_SUITE_P(Methods, Resume, testing::ValuesIn(test::each_method()), kName);

// Phases that go back: the snapshot is part of the state.
TEST(Resume, GoesBackToASnapshotTakenBeforeTheStop) {
  for (const char* back : {"weights", "learning_rate"}) {
    for (const char* control : {"none", "shuffle_layer"}) {
      if (std::string(back) != "weights" && std::string(control) != "none") continue;
      const Recipe recipe{"imp",
                          "lenet5",
                          {{"name", "imp"},
                           {"density", "0.3"},
                           {"rate", "0.5"},
                           {"rewind_to", "2it"},
                           {"back", back},
                           {"control", control}}};
      expect_equal_after_stops(recipe, {1});
      expect_equal_after_stops(recipe, {5, 7, 3, 4, 5});
    }
  }
}

// Numbers that the method sets at events, extra losses, and masks that come between two runs.
TEST(Resume, GroupLassoGoesOnInFineTuning) {
  for (const char* step : {"proximal", "subgradient"}) {
    const Recipe recipe{
        "ssl", "lenet5", {{"name", "ssl"}, {"filters", "5"}, {"cut", "0.5"}, {"step", step}, {"fine_tune", "4it"}}};
    expect_equal_after_stops(recipe, {1});
    expect_equal_after_stops(recipe, {7, 4});
  }
}

TEST(Resume, RefusesTheStateOfAnotherModel) {
  Process small({"dense", "lenet300", {{"name", "dense"}}}), other({"dense", "lenet5", {{"name", "dense"}}});
  small.batches_left = 2;
  ASSERT_FALSE(small.run());
  MemoryState state;
  small.trainer->save(state);
  EXPECT_THROW(other.trainer->load(state), Error);
}

}  // namespace
}  // namespace winnow
