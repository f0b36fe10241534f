// A trial that stops before any step and goes on in a fresh Trainer ends with the same bits as one that was never
// stopped: every registered method, every composition of two, every phase. A new method is picked up by its entry.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/touched.h"
#include "tests/training/process.h"

namespace winnow {
namespace {

using test::Pairs;
using test::Process;
using test::Recipe;

// Throws if the two do not work together in some graph, which a sweep says.
void edit(const Recipe& recipe) {
  Settings method;
  for (const auto& [key, text] : recipe.method) method.set(key, text);
  const ModelDef& def = find_model(recipe.model);
  const Model model = def.build(test::resolved(def.schema, {}), {16, 16, 3, 10}, 1, DType::F32);
  const Settings train = test::resolved(train_schema(), {});
  touched_by(*make_method(method), model, train);
}

std::vector<Recipe> each_composition() {
  std::vector<Recipe> recipes;
  for (const MethodDef& main : methods()) {
    for (const MethodDef& with : methods()) {
      Recipe recipe = test::recipe_of(main, &with);
      try {
        edit(recipe);
      } catch (const Error&) {
        continue;
      }
      const auto reversed = [&](const Recipe& other) { return other.name == test::recipe_of(with, &main).name; };
      if (std::ranges::none_of(recipes, reversed)) recipes.push_back(std::move(recipe));
    }
  }
  return recipes;
}

// `stops`: batches between one stop and the next; the last counts on.
void expect_equal_after_stops(const Recipe& recipe, const std::vector<std::int64_t>& stops, const Pairs& train = {}) {
  Process whole(recipe, train);
  ASSERT_TRUE(whole.run());
  MemoryState expected = whole.ended();

  std::size_t stop = 0;
  auto process = std::make_unique<Process>(recipe, train);
  for (;; ++stop) {
    ASSERT_LT(stop, 1000u) << "does not come to an end";
    process->batches_left = stops[std::min(stop, stops.size() - 1)];
    if (process->run()) break;
    MemoryState state;
    process->trainer->save(state);
    process = std::make_unique<Process>(recipe, train);
    process->trainer->load(state);
    EXPECT_EQ(state.unread(), std::vector<std::string>{}) << "saved and not read";
  }
  EXPECT_GE(stop, stops.size() == 1 ? 7u : 2u) << "stopped too seldom to prove anything";
  MemoryState now = process->ended();
  EXPECT_EQ(test::difference(expected, now), "");
}

class Resume : public testing::TestWithParam<Recipe> {};

// One batch a process: every place between two steps, at and between the ends of epochs and phases.
TEST_P(Resume, EndsWithTheSameBitsWhereverItStops) { expect_equal_after_stops(GetParam(), {1}); }

TEST_P(Resume, EndsWithTheSameBitsUnderAdam) {
  expect_equal_after_stops(GetParam(), {1, 3, 5}, {{"optimizer", "adam"}, {"lr", "0.001"}});
}

// A batch that is run twice: with masks that change in place of weights, with parameters that rest, with coefficients.
TEST(Resume, EndsWithTheSameBitsUnderAnOptimiserOfTwoPasses) {
  for (const char* name : {"rigl", "freezeout", "compander"}) {
    expect_equal_after_stops(test::recipe_of(find_method(name)), {1, 3, 5}, {{"optimizer", "sam"}, {"rho", "0.1"}});
  }
}

class ResumeOfTwo : public testing::TestWithParam<Recipe> {};

TEST_P(ResumeOfTwo, EndsWithTheSameBits) { expect_equal_after_stops(GetParam(), {1, 3, 4}); }

const auto kName = [](const testing::TestParamInfo<Recipe>& recipe) { return recipe.param.name; };
INSTANTIATE_TEST_SUITE_P(Methods, Resume, testing::ValuesIn(test::each_method()), kName);
INSTANTIATE_TEST_SUITE_P(Compositions, ResumeOfTwo, testing::ValuesIn(each_composition()), kName);

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
