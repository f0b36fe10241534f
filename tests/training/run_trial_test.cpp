// Whole trials, from a sweep file to the result that would be written.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "experiments/results/layout.h"
#include "experiments/results/trial_file.h"
#include "tests/training/whole_trial.h"

namespace winnow {
namespace {

using test::result_of;
using test::spec_of;

const WeightRecord& record(const std::vector<WeightRecord>& records, const std::string& name) {
  const auto found = std::ranges::find(records, name, &WeightRecord::name);
  if (found == records.end()) throw std::runtime_error("no weights " + name);
  return *found;
}

class SavingTheStart : public ::testing::TestWithParam<const char*> {};

TEST_P(SavingTheStart, ChangesNothingOfTheTrial) {
  const TrialResult end = result_of(GetParam());
  const TrialResult both = result_of(GetParam(), "epochs: 4, batch: 32, lr: 0.05", "  save: {weights: {when: both}}\n");
  ASSERT_EQ(end.spec.id, both.spec.id);
  ASSERT_FALSE(both.start_weights.empty());
  for (const WeightRecord& weight : end.weights) {
    EXPECT_EQ(weight.values, record(both.weights, weight.name).values) << weight.name;
  }
  EXPECT_EQ(std::get<std::vector<std::int64_t>>(end.events.columns[0].values),
            std::get<std::vector<std::int64_t>>(both.events.columns[0].values));
  EXPECT_EQ(end.summary.at("flops.train"), both.summary.at("flops.train"));
  EXPECT_EQ(record(both.start_weights, "fc1.weight").keep, record(both.weights, "fc1.weight").keep)
      << "the start weights must carry the mask that is trained";
}

INSTANTIATE_TEST_SUITE_P(MasksAtInit, SavingTheStart,
                         ::testing::Values("{name: snip, density: 0.02}",
                                           "{name: magnitude, density: 0.05, shuffle: layer}",
                                           "{name: freezenet, density: 0.05, reinit: both}"));

TEST(RunTrial, ADenserPastLendsNoAccuracy) {
  // Dense until the end of epoch 3, then so sparse that nothing is left of what was learned.
  const TrialResult result = result_of("{name: gmp, density: 0.002, begin: 0.8, end: 0.85, interval: 1it}");
  EXPECT_GT(std::get<std::vector<double>>(result.epochs.columns[8].values).at(0), result.summary.at("best.test_acc"));
  EXPECT_EQ(result.summary.at("best.epoch"), 4);
  EXPECT_EQ(result.summary.at("selected.epoch"), 4);
}

TEST(RunTrial, ALastUpdateThatGoesTooFarIsADivergence) {
  const TrialResult result = result_of("{name: dense}", "epochs: 2it, batch: 32, lr: 1.0e+12, precision: f32");
  EXPECT_EQ(result.outcome, Outcome::Diverged);
}

// The exit code of a run follows the cause.
TEST(RunTrial, AFailureOverAFileToReadIsKnownAsOne) {
  TrialSpec spec = spec_of("{name: dense}");
  spec.settings.set("data.name", "mnist");
  spec.settings.set("data.root", "/no/such/folder");
  const TrialResult missing = result_of(spec);
  EXPECT_EQ(missing.outcome, Outcome::Failed);
  EXPECT_TRUE(missing.input_unreadable) << missing.reason;
  spec.settings.set("data.name", "no_such_data_set");
  const TrialResult unknown = result_of(spec);
  EXPECT_EQ(unknown.outcome, Outcome::Failed);
  EXPECT_FALSE(unknown.input_unreadable) << unknown.reason;
}

// A sweep is planned by the content of a start file. One that another file replaced since is no start of that trial.
TEST(RunTrial, AStartFileThatChangedSinceThePlanIsRefused) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / ("winnow-start-" + std::to_string(getpid()));
  PosixFiles files;
  const auto trained = [&](const char* lr) {
    const TrialResult result = result_of("{name: dense}", std::string("epochs: 2it, batch: 32, lr: ") + lr);
    publish(files, folder, result);
    return Layout(folder).trial(result.spec.name());
  };
  const auto first = trained("0.01"), second = trained("0.02");
  const auto start = folder / "start.h5";
  std::filesystem::copy_file(first, start);
  TrialSpec spec =
      spec_of("{name: dense}", "epochs: 2it, batch: 32, lr: 0.05", "  init: {from: " + start.string() + "}\n");
  const TrialHeader header = read_header(files, first);
  spec.identity.set("init.from", header.content_digest);
  const TrialResult result = result_of(spec);
  EXPECT_EQ(result.outcome, Outcome::Done) << result.reason;
  EXPECT_EQ(result.lineage.at("start"), header.name);
  EXPECT_EQ(result.lineage.at("start.digest"), header.content_digest);
  std::filesystem::remove(start);
  std::filesystem::copy_file(second, start);
  const TrialResult refused = result_of(spec);
  EXPECT_EQ(refused.outcome, Outcome::Failed);
  EXPECT_TRUE(refused.input_unreadable) << "so that the run exits with 66";
  EXPECT_NE(refused.reason.find("another result than the one that the sweep was planned with"), std::string::npos)
      << refused.reason;
  std::filesystem::remove_all(folder);
}

TEST(RunTrial, MasksDoNotDependOnThePrecisionOfTraining) {
  const TrialResult f32 =
      result_of("{name: snip, density: 0.05}", "epochs: 1it, batch: 32, precision: f32", "pair: all\n");
  const TrialResult fast =
      result_of("{name: snip, density: 0.05}", "epochs: 1it, batch: 32, precision: auto", "pair: all\n");
  ASSERT_EQ(f32.weights.size(), fast.weights.size());
  for (const WeightRecord& weight : f32.weights) {
    EXPECT_EQ(weight.keep, record(fast.weights, weight.name).keep) << weight.name;
  }
}

}  // namespace
}  // namespace winnow
