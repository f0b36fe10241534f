// `winnow run` on small sweeps in this process: what it says and returns of trials that ended
// before, and what keeps it from starting.
#include <nlohmann/json.hpp>
#include <sstream>

#include "experiments/cli/verbs.h"
#include "experiments/results/failure_file.h"
#include "experiments/results/layout.h"
#include "experiments/results/progress_file.h"
#include "experiments/results/trial_file.h"
#include "tests/training/run_fixture.h"

namespace winnow::test {
namespace {

class RunSweep : public RunFixture {
 protected:
  RunSweep() : RunFixture("  - replicate: 3\n") {}
};

TEST_F(RunSweep, StrictCountsTrialsThatEndedBadlyBefore) {
  const RunSaid first = winnow({"run", "--set", "train.lr=1e12"});
  EXPECT_EQ(first.code, 0);
  EXPECT_TRUE(first.has("3 trials: 0 already done, 0 trained, 3 diverged, 0 failed\n")) << first.err;
  const RunSaid again = winnow({"run", "--set", "train.lr=1e12", "--strict"});
  EXPECT_EQ(again.code, 3);
  EXPECT_TRUE(again.has("3 trials: 3 already done (3 diverged), 0 trained")) << again.err;
}

TEST_F(RunSweep, ALinkToNothingInThePlaceOfAResultIsSaid) {
  const auto place = Layout(out()).trial(trials()[0].name());
  std::filesystem::create_directories(place.parent_path());
  std::filesystem::create_symlink("nothing", place);
  const RunSaid said = winnow({"run"});
  EXPECT_EQ(said.code, 66);
  EXPECT_TRUE(said.has("is a link to nothing; remove it to train the trial again")) << said.err;
  EXPECT_TRUE(said.has("1 with an unreadable result, 2 trained")) << said.err;
}

TEST_F(RunSweep, OldFailuresAreLeftAloneOnlyIfAskedFor) {
  record_failure(files_, out(), trials()[1], "no luck");
  const RunSaid left = winnow({"run", "--no-retry", "--strict"});
  EXPECT_EQ(left.code, 3);
  EXPECT_TRUE(
      left.has("3 trials: 0 already done, 1 left alone (failed before), 2 trained, "
               "0 diverged, 0 failed\n"))
      << left.err;
  const RunSaid retried = winnow({"run", "--strict"});
  EXPECT_EQ(retried.code, 0);
  EXPECT_TRUE(retried.has("3 trials: 2 already done, 1 trained")) << retried.err;
}

TEST_F(RunSweep, ATrialThatAnotherRunHasInWorkComesLast) {
  const TrialSpec first = trials()[0];
  const ProgressFile other(files_, out(), first, 1);
  const RunSaid said = winnow({"run"});
  EXPECT_EQ(said.code, 0);
  const auto at = [&](int replicate) { return said.err.find(first.id + "-r" + std::to_string(replicate) + " "); };
  EXPECT_LT(at(1), at(0)) << said.err;
  EXPECT_LT(at(2), at(0)) << said.err;
  EXPECT_TRUE(said.has("3 trained")) << "its run may have died: " << said.err;
}

TEST_F(RunSweep, AllDamagedResultsAreNamedWithWhatToDo) {
  ASSERT_EQ(winnow({"run"}).code, 0);
  const TrialTable specs = trials();
  std::vector<std::string> paths;
  for (const std::size_t i : {0, 2}) {
    const auto path = Layout(out()).trial(specs[i].name());
    const auto whole = files_.read(path);
    files_.replace(path, std::span(whole).first(whole.size() / 2));
    paths.push_back(path.string());
  }
  const RunSaid plan = winnow({"plan", "--json"});
  EXPECT_EQ(plan.code, 0) << plan.err;
  EXPECT_EQ(nlohmann::json::parse(plan.out)["done"], 1);
  EXPECT_EQ(nlohmann::json::parse(plan.out)["notes"].size(), 2u);
  std::filesystem::remove(Layout(out()).trial(specs[1].name()));
  const RunSaid run = winnow({"run"});
  EXPECT_EQ(run.code, 66);
  EXPECT_TRUE(run.has("3 trials: 0 already done, 2 with an unreadable result, 1 trained")) << run.err;
  for (const std::string& path : paths) {
    EXPECT_TRUE(run.has(path + ": is cut short")) << run.err;
    std::filesystem::remove(path);
  }
  EXPECT_TRUE(run.has("; remove it to train the trial again\n")) << run.err;
  EXPECT_TRUE(winnow({"run"}).has("1 already done, 2 trained"));
}

TEST_F(RunSweep, TheSweepFileIsKeptWithItsResults) {
  const std::string base = write("base.yaml", "trial:\n  train: {lr: 0.02}  # of the base\n").string();
  sweep_ = write("child.yaml",
                 "extends: [base.yaml]\ntrial:\n  data: {name: synthetic, height: 8, width: 8, channels: 1, "
                 "examples: 64, test_examples: 16, validation: 0}\n  model: {name: lenet300}\n  method: "
                 "{name: dense}\n  train: {epochs: 1, batch: 16}\n")
               .string();
  ASSERT_EQ(winnow({"run"}).code, 0);
  const auto archived = files_.list(Layout(out()).sweeps());
  ASSERT_EQ(archived.size(), 1u);
  const std::string text = text_of(files_.read(Layout(out()).sweeps() / archived[0]));
  for (const std::string& part :
       {std::string("# of the base"), "# " + base, "# " + sweep_, std::string("{name: dense}")}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
  const TrialResult result = read_trial(Layout(out()).trial(trials()[0].name()));
  EXPECT_EQ(result.provenance.at("sweep.text"), text);
  ASSERT_EQ(winnow({"run"}).code, 0);
  EXPECT_EQ(files_.list(Layout(out()).sweeps()).size(), 1u);
}

TEST_F(RunSweep, ACopyUnderATrialsNameIsNotItsResult) {
  ASSERT_EQ(winnow({"run"}).code, 0);
  const Layout layout(out());
  const TrialTable specs = trials();
  std::filesystem::copy_file(layout.trial(specs[0].name()), layout.trial(specs[1].name()),
                             std::filesystem::copy_options::overwrite_existing);
  const RunSaid run = winnow({"run"});
  EXPECT_EQ(run.code, 66);
  EXPECT_TRUE(run.has("is the result of " + specs[0].name())) << run.err;
}

// Before any trial starts, with the code of a file that cannot be used, like data that are not there.
TEST_F(RunSweep, DamagedDataStopTheRun) {
  for (const char* name :
       {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}) {
    write(name, "no images");
  }
  const std::string head = "trial:\n  model: {name: lenet300}\n  method: {name: dense}\n";
  sweep_ = write("files.yaml", head + "  data: {name: fashion-mnist, root: '" + folder_.string() + "'}\n").string();
  const RunSaid run = winnow({"run"});
  EXPECT_EQ(run.code, 66) << run.err;
  EXPECT_TRUE(run.has("train-images-idx3-ubyte")) << run.err;
  EXPECT_EQ(run.err.find("bug"), std::string::npos) << run.err;
  EXPECT_FALSE(std::filesystem::exists(out() / "trials")) << "nothing was trained";
}

TEST_F(RunSweep, AQuietRunSaysWhatWentWrongAndNothingElse) {
  const RunSaid good = winnow({"run", "-q"});
  EXPECT_EQ(good.code, 0);
  EXPECT_EQ(good.err, "");
  const auto path = Layout(out()).trial(trials()[0].name());
  const auto whole = files_.read(path);
  files_.replace(path, std::span(whole).first(whole.size() / 2));
  const RunSaid bad = winnow({"run", "-q"});
  EXPECT_EQ(bad.code, 66);
  EXPECT_TRUE(bad.has("warning: " + path.string())) << bad.err;
  EXPECT_EQ(std::count(bad.err.begin(), bad.err.end(), '\n'), 1) << bad.err;
}

TEST_F(RunSweep, MissingDataStopTheRunAndAreANoteInThePlan) {
  for (const char* name : {"fashion-mnist", "cifar10"}) {
    for (const auto& [root, words] : std::vector<std::pair<std::string, std::string>>{
             {folder_.string(), folder_.string() + "/"},
             {"$WINNOW_NO_SUCH_VARIABLE", "WINNOW_NO_SUCH_VARIABLE is not set"}}) {
      sweep_ = write("files.yaml", std::string("trial:\n") +
                                       "  model: {name: lenet300}\n"
                                       "  method: {name: dense}\n"
                                       "  data: {name: " +
                                       name + ", root: '" + root + "'}\naxes: [{replicate: 2}]\n")
                   .string();
      const RunSaid run = winnow({"run"});
      EXPECT_EQ(run.code, 66) << run.err;
      EXPECT_TRUE(run.has(words)) << run.err;
      EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
      const RunSaid plan = winnow({"plan"});
      EXPECT_EQ(plan.code, 0) << plan.err;
      EXPECT_NE(plan.out.find("note winnow run would stop on this machine: "), std::string::npos) << plan.out;
      EXPECT_NE(plan.out.find(words), std::string::npos) << plan.out;
    }
  }
}

}  // namespace
}  // namespace winnow::test
