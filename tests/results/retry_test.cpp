// `winnow retry`: marks of failures and crashes go, and nothing else does.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "experiments/results/checkpoint_file.h"
#include "experiments/results/failure_file.h"
#include "experiments/results/layout.h"
#include "experiments/results/plan_file.h"
#include "experiments/results/progress_file.h"
#include "experiments/results/status.h"
#include "tests/training/run_fixture.h"

namespace winnow::test {
namespace {

// Of four trials the first failed, the second was given up after three crashes, the third crashed once.
class Retry : public RunFixture {
 protected:
  Retry() : RunFixture("  - replicate: 4\n") {}
  void SetUp() override {
    RunFixture::SetUp();
    write_plan(files_, out(), trials());
    record_failure(files_, out(), trials()[0], "out of memory");
    for (std::size_t crash = 1; crash <= CheckpointFolder::kMostCrashes; ++crash) {
      folder(1).note_crash(crash, "its process ended by signal 11");
    }
    folder(1).keep(encode_checkpoint({.trial = trials().name(1), .writer = "w", .precision = "f32", .step = 7}, {}));
    for (std::size_t crash = 4; crash <= 6; ++crash) folder(1).note_crash(crash, "its process ended by signal 7");
    folder(2).note_crash(1, "its process ended by signal 6");
  }
  CheckpointFolder folder(std::size_t at) const { return {files_, out(), trials().name(at)}; }
  bool failed(std::size_t at) const { return failure_reason(files_, out(), trials().name(at)).has_value(); }
  RunSaid ask(std::vector<std::string> args) const {
    std::ostringstream text, errors;
    const int code = run_command_line(args, text, errors);
    return {code, text.str(), errors.str()};
  }
};

TEST_F(Retry, ClearsFailuresAndWhatWasGivenUpAndKeepsWhatWasSaved) {
  const RunSaid shown = winnow({"retry", "-n"});
  ASSERT_EQ(shown.code, 0) << shown.err;
  EXPECT_NE(shown.out.find("would be cleared: marks of 2 trials"), std::string::npos) << shown.out;
  EXPECT_TRUE(failed(0)) << "only shown";
  EXPECT_EQ(folder(1).crashes(), 6u);

  const RunSaid said = winnow({"retry"});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_NE(said.out.find(trials().name(0) + "  out of memory  (1 attempt)"), std::string::npos) << said.out;
  EXPECT_NE(said.out.find(trials().name(1) + "  given up after 3 crashes after step 7"), std::string::npos) << said.out;
  EXPECT_NE(said.out.find("next   winnow run " + sweep_ + " -o " + out().string() + "\n"), std::string::npos)
      << said.out;
  EXPECT_FALSE(failed(0));
  EXPECT_EQ(folder(1).crashes(), 0u);
  EXPECT_EQ(folder(1).newest_step(), 7) << "the next run goes on from there";
  EXPECT_EQ(folder(2).crashes(), 1u) << "it is tried again anyway";
  const SweepStatus status = read_status(files_, out(), unix_now());
  EXPECT_TRUE(status.failed.empty());
  EXPECT_EQ(status.missing.size(), 4u);
  EXPECT_NE(winnow({"retry"}).out.find("no such trial has failed"), std::string::npos);
}

TEST_F(Retry, OfTrialsThatAreNamedAndNoOthers) {
  files_.make_folders(Layout(out()).submissions());
  files_.replace(Layout(out()).submissions() / "0001.sbatch", "");
  const RunSaid said = ask({"retry", out().string(), "--trial", trials().name(2), "--json"});
  ASSERT_EQ(said.code, 0) << said.err;
  const auto json = nlohmann::json::parse(said.out);
  EXPECT_EQ(json.at("schema"), "winnow-retry");
  ASSERT_EQ(json.at("trials").size(), 1u);
  EXPECT_EQ(json.at("trials").at(0).at("name"), trials().name(2));
  EXPECT_EQ(json.at("trials").at(0).at("crashes"), 1);
  EXPECT_EQ(json.at("next"), "winnow submit SWEEP -o " + out().string()) << "jobs trained here before";
  EXPECT_EQ(folder(2).crashes(), 0u);
  EXPECT_TRUE(failed(0));
  EXPECT_EQ(folder(1).crashes(), 6u);
  EXPECT_EQ(ask({"retry", out().string(), "--trial", "nothing"}).code, 66);
}

TEST_F(Retry, OptionsOfASweepFileNeedOne) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"--only", "method.name=dense"}, {"--set", "train.lr=1"}, {"--smoke"}, {"--device", "cpu"}}) {
    for (const char* verb : {"retry", "tail"}) {
      std::vector<std::string> all = {verb, out().string()};
      all.insert(all.end(), words.begin(), words.end());
      const RunSaid said = ask(all);
      EXPECT_EQ(said.code, 64) << words[0];
      EXPECT_NE(said.err.find(words[0]), std::string::npos) << said.err;
    }
  }
  EXPECT_TRUE(failed(0));
}

TEST_F(Retry, MarksOfOtherSweepsAndOfWhatIsBeingTrainedStay) {
  const auto other = ask({"retry", sweep_, "-o", out().string(), "--set", "train.lr=0.02"});
  ASSERT_EQ(other.code, 0) << other.err;
  EXPECT_TRUE(failed(0)) << "of the same folder, and no trial of this sweep";
  const ProgressFile running(files_, out(), trials()[0], 1);
  const RunSaid said = winnow({"retry"});
  EXPECT_NE(said.out.find(trials().name(0) + "  is being trained; its marks stay"), std::string::npos) << said.out;
  EXPECT_TRUE(failed(0));
  EXPECT_EQ(folder(1).crashes(), 0u);
}

}  // namespace
}  // namespace winnow::test
