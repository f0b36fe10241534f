// `winnow show`: everything that an output directory knows of one trial, and nothing changed by looking.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <algorithm>

#include "experiments/results/checkpoint_file.h"
#include "experiments/results/failure_file.h"
#include "experiments/results/layout.h"
#include "experiments/results/plan_file.h"
#include "experiments/results/trial_file.h"
#include "tests/training/leave_checkpoint.h"
#include "tests/training/run_fixture.h"

namespace winnow::test {
namespace {

class Show : public RunFixture {
 protected:
  Show() : RunFixture("  - replicate: 2\n") {}
  struct Said {
    int code;
    std::string out, err;
  };
  Said show(const std::string& start, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> args = {"show", start, "-o", out().string()};
    args.insert(args.end(), more.begin(), more.end());
    std::ostringstream said, errors;
    const int code = run_command_line(args, said, errors);
    return {code, said.str(), errors.str()};
  }
  nlohmann::json json(const std::string& start) const { return nlohmann::json::parse(show(start, {"--json"}).out); }
  std::vector<std::string> all_files() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(out()))
      found.push_back(entry.path().string());
    std::ranges::sort(found);
    return found;
  }
};

TEST_F(Show, AFinishedTrialHasItsSettingsItsRunsAndItsFile) {
  ASSERT_EQ(winnow({"run", "--workers", "1", "--threads", "1"}).code, 0);
  const std::string name = trials().name(1);
  const auto before = all_files();
  const nlohmann::json shown = json(name);
  EXPECT_EQ(all_files(), before);
  EXPECT_EQ(shown.at("schema"), "winnow-show");
  EXPECT_EQ(shown.at("name"), name);
  EXPECT_EQ(shown.at("state"), "done");
  EXPECT_EQ(shown.at("settings").at("train.batch"), "16");
  ASSERT_EQ(shown.at("history").size(), 1u);
  const auto& records = shown.at("history").at(0).at("records");
  EXPECT_EQ(records.front().at("kind"), "start");
  EXPECT_EQ(records.back().at("kind"), "end");
  EXPECT_EQ(records.back().at("state"), "done");
  ASSERT_EQ(shown.at("files").size(), 1u);
  EXPECT_EQ(shown.at("files").at(0).at("path"), Layout::trial_in(name).string());
  const std::string text = show(name).out;
  EXPECT_NE(text.find(name + "  done\n"), std::string::npos) << text;
  EXPECT_NE(text.find("  train.batch = 16\n"), std::string::npos) << text;
}

TEST_F(Show, ATrialThatFailedSaysWhyAndHowItsProcessesDied) {
  ASSERT_EQ(winnow({"run", "--workers", "1", "--threads", "1"}).code, 0);
  const TrialSpec spec = trials()[0];
  files_.remove(Layout(out()).trial(spec.name()));
  EXPECT_EQ(json(spec.name()).at("state"), "missing");
  record_failure(files_, out(), spec, "out of memory");
  CheckpointFolder(files_, out(), spec.name()).note_crash(1, "its process died by signal 9");
  const nlohmann::json shown = json(spec.name());
  EXPECT_EQ(shown.at("state"), "failed");
  EXPECT_EQ(shown.at("reason"), "out of memory");
  EXPECT_EQ(shown.at("crashes").at(0).at("reason"), "its process died by signal 9");
  const std::string text = show(spec.name()).out;
  EXPECT_NE(text.find("failed: out of memory\n"), std::string::npos) << text;
  EXPECT_NE(text.find("after step 0: its process died by signal 9\n"), std::string::npos) << text;
}

TEST_F(Show, ATrialThatARuleStoppedHasItsFileAndItsSettings) {
  ASSERT_EQ(winnow({"run", "--workers", "1", "--threads", "1"}).code, 0);
  const Layout layout(out());
  const std::string name = trials().name(0);
  TrialResult result = read_trial(files_, layout.trial(name));
  result.outcome = Outcome::Stopped;
  publish_stopped(files_, out(), result);
  files_.remove(layout.trial(name));
  for (const bool planned : {true, false}) {
    if (!planned) {  // the plan of another sweep alone
      std::filesystem::remove_all(layout.plans());
      std::filesystem::remove(layout.plan());
      write_plan(files_, out(), std::vector{PlannedTrial{trials().name(1), "model.name=lenet300"}});
    }
    const nlohmann::json shown = json(name);
    EXPECT_EQ(shown.at("state"), "stopped");
    EXPECT_EQ(shown.at("settings").at("train.batch"), "16") << planned;
    ASSERT_EQ(shown.at("files").size(), 1u) << shown.dump();
    EXPECT_EQ(shown.at("files").at(0).at("path"), Layout::stopped_in(name).string());
  }
}

TEST_F(Show, ForgettingAPlanSaysWhatIsSavedOfItsTrials) {
  leave_checkpoint(files_, out(), trials()[0]);
  write_plan(files_, out(), trials());
  const std::string id = read_plans(files_, out()).front().path.stem().string().substr(0, 8);
  std::ostringstream said, errors;
  EXPECT_EQ(run_command_line(std::vector<std::string>{"forget", out().string(), "--plan", id}, said, errors), 0);
  EXPECT_NE(said.str().find("2 trials, 0 with a result, which stays; removed with it: checkpoints of 1 trial (saved up "
                            "to step 2)\n"),
            std::string::npos)
      << said.str();
}

TEST_F(Show, TheStartOfANameIsEnoughWhereItIsOneTrials) {
  ASSERT_EQ(winnow({"run", "--workers", "1", "--threads", "1"}).code, 0);
  const std::string id = trials().id(0);
  const Said both = show(id.substr(0, 8));
  EXPECT_EQ(both.code, 64);
  EXPECT_NE(both.err.find("the names of 2 trials begin with"), std::string::npos) << both.err;
  EXPECT_EQ(show(id + "-r1").code, 0);
  EXPECT_EQ(show(id.substr(0, 8) + "-r1").out, show(id + "-r1").out) << "as a terminal shows it";
  EXPECT_EQ(show(id.substr(0, 8) + "-r2").code, 66);
  EXPECT_EQ(show("0123456789").code, 66);
  EXPECT_EQ(show("../plan").code, 66);
  std::ostringstream said, errors;
  EXPECT_EQ(run_command_line(std::vector<std::string>{"show"}, said, errors), 64);
}

}  // namespace
}  // namespace winnow::test
