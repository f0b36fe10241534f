// A trial that takes over memory and programs of the one before ends with the bits that it has alone.
#include "distributed/program_cache.h"

#include <gtest/gtest.h>

#include "tests/training/process.h"

namespace winnow {
namespace {

using test::Pairs;
using test::Process;
using test::Recipe;

MemoryState trained(const Recipe& recipe, const Pairs& train, ProgramCache* programs, std::uint64_t seed) {
  Process process(recipe, train, programs, seed);
  EXPECT_TRUE(process.run());
  return process.ended();
}

class TrialAfterAnother : public testing::TestWithParam<Recipe> {};

TEST_P(TrialAfterAnother, EndsWithTheBitsThatItHasAlone) {
  MemoryState alone = trained(GetParam(), {}, nullptr, 5);
  ProgramCache programs;
  const MemoryState first = trained(GetParam(), {{"lr", "0.02"}, {"weight_decay", "1e-3"}}, &programs, 0);
  EXPECT_FALSE(first == alone);
  Settings method;
  for (const auto& [key, text] : GetParam().method) method.set(key, text);
  // A network that lost channels leaves programs of other shapes behind. One that probes at the start of a phase and later
  // on finds its own again.
  const bool shrinks = make_method(method)->touches().channels;
  const std::int64_t own = programs.reused();
  EXPECT_TRUE(shrinks || own == 0);
  MemoryState second = trained(GetParam(), {}, &programs, 5);
  EXPECT_GE(programs.reused() - own, shrinks ? 0 : 2) << "training and evaluation were compiled again";
  EXPECT_EQ(test::difference(alone, second), "");
}

INSTANTIATE_TEST_SUITE_P(Methods, TrialAfterAnother, testing::ValuesIn(test::each_method()),
                         [](const testing::TestParamInfo<Recipe>& recipe) { return recipe.param.name; });

const Recipe kDense{"dense", "lenet5", {{"name", "dense"}}};

// Methods, and then other networks, batches, optimisers and losses: each in the place of the one before.
TEST(ProgramCache, TrialsOfOtherShapesInOneProcessKeepTheirBits) {
  std::vector<std::pair<Recipe, Pairs>> trials;
  for (const Recipe& recipe : test::each_method()) trials.emplace_back(recipe, Pairs{});
  for (const Pairs& train : std::vector<Pairs>{{{"batch", "8"}},
                                               {{"optimizer", "adam"}, {"lr", "0.001"}},
                                               {{"optimizer", "sam"}},
                                               {{"label_smoothing", "0.1"}},
                                               {{"label_smoothing", "0.3"}, {"momentum", "0.5"}, {"clip_norm", "0.1"}},
                                               {{"precision", "bf16"}},
                                               {{"eval_batch", "7"}},
                                               {}}) {
    trials.emplace_back(kDense, train);
  }
  for (const char* a : {"1.0", "0.7"}) {  // a number that a derived weight is made with
    trials.emplace_back(Recipe{"compander " + std::string(a), "lenet5", {{"name", "compander"}, {"a", a}}}, Pairs{});
  }
  ProgramCache programs;
  for (const auto& [recipe, train] : trials) {
    MemoryState alone = trained(recipe, train, nullptr, 1), after = trained(recipe, train, &programs, 1);
    EXPECT_EQ(test::difference(alone, after), "") << recipe.name;
  }
}

// A method without edits shares the programs of the dense network. What is a number in a node (label smoothing, the p of a
// dropout) is read where it lies; what adds a node is another program.
TEST(ProgramCache, CompilesWhatDiffersAndNothingElse) {
  ProgramCache programs;
  const auto reused_by = [&](const Recipe& recipe, const Pairs& train) {
    const std::int64_t before = programs.reused();
    trained(recipe, train, &programs, 0);
    return programs.reused() - before;
  };
  EXPECT_EQ(reused_by(kDense, {}), 0);
  EXPECT_EQ(reused_by({"gmp", "lenet5", {{"name", "gmp"}, {"density", "0.5"}, {"interval", "1it"}}}, {}), 2);
  EXPECT_EQ(reused_by(kDense, {{"optimizer", "sam"}}), 2) << "a second pass is the same program";
  EXPECT_EQ(reused_by(kDense, {{"label_smoothing", "0.1"}}), 2);
  EXPECT_EQ(reused_by(kDense, {{"label_smoothing", "0.3"}, {"momentum", "0.5"}, {"weight_decay", "0.01"}}), 2);
  EXPECT_EQ(reused_by(kDense, {{"optimizer", "adam"}}), 0) << "other slots are other memory";
  EXPECT_EQ(reused_by({"dense", "lenet300", {{"name", "dense"}}}, {}), 0);
}

TEST(ParamStore, StartsAnewOnlyForTheSameParameters) {
  Model model;
  model.params.push_back({.name = "fc.weight", .shape = {2, 3}, .init = {InitSpec::Kind::Normal, 1.0}});
  model.buffers.push_back({.name = "mean", .shape = {3}});
  ParamStore store(model, {slot_per_entry});
  store.initialise(3);
  store.replace_mask(ParamId(0), MaskKind::Keep, std::vector<std::uint8_t>{1, 0, 1, 1, 0, 1});
  const void* memory = store.weight_memory(ParamId(0)).data;
  Model other = model;
  other.params[0].shape = {3, 2};
  EXPECT_FALSE(store.restart(other, {slot_per_entry}));
  EXPECT_FALSE(store.restart(model, {slot_per_entry, slot_per_row}));
  EXPECT_EQ(store.count(ParamId(0), MaskKind::Keep), 4);
  model.params[0].decay = 0;
  EXPECT_TRUE(store.restart(model, {slot_per_entry}));
  EXPECT_EQ(store.weight_memory(ParamId(0)).data, memory);
  EXPECT_EQ(store.specs()[0].decay, 0);
  MemoryState now, fresh;
  store.save(now);
  ParamStore(model, {slot_per_entry}).save(fresh);
  EXPECT_TRUE(now == fresh);
  EXPECT_EQ(store.mask_revision(), 0u);
}

}  // namespace
}  // namespace winnow
