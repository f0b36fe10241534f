// Trials that a rule stopped, in status, survey and report.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "experiments/cli/verbs.h"
#include "experiments/report/report.h"
#include "experiments/results/layout.h"
#include "experiments/results/plan_file.h"
#include "experiments/results/status.h"
#include "experiments/results/trial_file.h"
#include "tests/results/sample_sweep.h"
#include "tests/results/samples.h"

namespace winnow::test {
namespace {

TrialResult stopped_trial(int number, int replicate, double epoch) {
  TrialResult trial = sample_trial(number, "set", "0.1", replicate, 0.99);
  trial.outcome = Outcome::Stopped;
  trial.reason = "halving: {metric: test_acc, min: 20ep, eta: 3, by: [data.name, model.name]}";
  trial.summary["stopped.epoch"] = epoch;
  trial.weights.clear();
  return trial;
}

// Of one configuration one finished and two stopped, of another all stopped.
class StoppedTrials : public ::testing::Test {
 protected:
  void SetUp() override {
    write_sample_sweep(files_, folder_.path());
    publish(files_, folder_.path(), sample_trial(6, "set", "0.1", 0, 0.99), kCreated);
    publish_stopped(files_, folder_.path(), stopped_trial(6, 1, 20));
    publish_stopped(files_, folder_.path(), stopped_trial(6, 2, 60));
    for (int replicate = 0; replicate < 3; ++replicate) {
      publish_stopped(files_, folder_.path(), stopped_trial(7, replicate, 20));
    }
  }
  std::string winnow(std::vector<std::string> args) {
    args.insert(args.begin() + 1, folder_.path().string());
    std::ostringstream text, errors;
    EXPECT_EQ(run_command_line(args, text, errors), 0) << errors.str();
    return text.str();
  }
  TemporaryFolder folder_;
  PosixFiles files_;
};

TEST_F(StoppedTrials, AreListedBelowTheTablesAndInNone) {
  const auto path = std::filesystem::path(WINNOW_SOURCE_DIR) / "tests/results/golden/report_stopped.txt";
  const std::string text = winnow({"report"});
  const char* mode = std::getenv("WINNOW_GOLDEN");
  if (mode != nullptr && std::string(mode) == "write") std::ofstream(path) << text;
  std::ifstream expected(path);
  EXPECT_EQ(text, std::string((std::istreambuf_iterator<char>(expected)), {}));
  EXPECT_EQ(winnow({"report", "--csv"}).find(",set,"), std::string::npos);
  EXPECT_NE(winnow({"report", "--json"}).find("\"finished\": 1"), std::string::npos);
}

TEST_F(StoppedTrials, AreNeitherDoneNorMissing) {
  const SweepStatus status = read_status(files_, folder_.path(), 0);
  EXPECT_EQ(status.stopped.size(), 5u);
  EXPECT_EQ(status.done.size(), 11u);
  EXPECT_EQ(status.missing.size(), 1u);
}

TEST_F(StoppedTrials, AreRowsOfTheSurveyWithAStateOfTheirOwn) {
  const Survey survey = gather_survey(files_, folder_.path());
  std::size_t stopped = 0;
  for (std::size_t row = 0; row < 17; ++row) stopped += cell_text(survey.trials, "state", row) == "stopped" ? 1 : 0;
  EXPECT_EQ(stopped, 5u);
  const auto path = folder_.path() / "s.h5";
  collect_survey(files_, folder_.path(), path, SurveyWeights::Pack);
  EXPECT_EQ(cell_text(read_survey(files_, path).trials, "stopped.epoch", 16), "20");
}

TEST_F(StoppedTrials, AResultTakesTheirPlace) {
  publish(files_, folder_.path(), sample_trial(7, "set", "0.1", 0, 0.99), kCreated);
  EXPECT_EQ(stopped_trials(files_, folder_.path()).size(), 4u);
  EXPECT_FALSE(files_.exists(Layout(folder_.path()).stopped(sample_trial(7, "set", "0.1", 0, 0.99).spec.name())));
}

}  // namespace
}  // namespace winnow::test
