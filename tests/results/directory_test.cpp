// Files and folders a user may hand to status, collect and report by mistake, and files that do not
// belong among the results.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <fstream>
#include <sstream>

#include "core/error.h"
#include "experiments/cli/verbs.h"
#include "experiments/results/container.h"
#include "experiments/results/journal.h"
#include "experiments/results/layout.h"
#include "experiments/results/status.h"
#include "experiments/results/survey.h"
#include "experiments/results/trial_file.h"
#include "experiments/results/trial_record.h"
#include "tests/results/faulty_files.h"
#include "tests/results/sample_sweep.h"
#include "tests/results/samples.h"
#include "tests/said.h"

namespace winnow::test {
namespace {

namespace fs = std::filesystem;

class Directory : public ::testing::Test {
 protected:
  void SetUp() override { write_sample_sweep(files_, out()); }

  fs::path out() const { return folder_.path() / "out"; }
  fs::path result(int number) const { return Layout(out()).trial(sample_trial(number).spec.name()); }
  // A file where a result may lie, of the next major version.
  void write_newer(const fs::path& path) {
    Hdf5File file = Hdf5File::create();
    file.set("/", "schema", "winnow-trial");
    file.set("/", "schema_version", "2.0");
    const std::string note =
        R"({"schema": "winnow-trial", "schema_version": "2.0", "name": ")" + path.stem().string() + "\"}";
    files_.replace(path, std::span<const std::byte>(sealed(file.bytes(), note)));
  }

  TemporaryFolder folder_;
  PosixFiles files_;
};

TEST_F(Directory, CollectReplacesNothingButASurvey) {
  const auto collect = [&](const fs::path& target) {
    return winnow({"collect", out().string(), "-o", target.string()}).code;
  };
  const fs::path text = folder_.path() / "sweep.yaml", survey = folder_.path() / "survey.h5";
  std::ofstream(text) << "sweep: s\n";
  for (const fs::path& precious : {result(1), Layout(out()).plan(), text}) {
    const auto before = files_.read(precious);
    EXPECT_EQ(collect(precious), 64) << precious;
    EXPECT_EQ(files_.read(precious), before) << precious;
  }
  EXPECT_EQ(collect(folder_.path()), 64) << "a folder";
  EXPECT_EQ(collect(Layout(out()).trials() / "a1" / "survey.h5"), 64);
  EXPECT_EQ(collect(out() / "failed" / ".." / "trials" / "survey.h5"), 64);
  for (const char* inside :
       {"plans/survey.h5", "running/survey.h5", "failed/new/survey.h5", "smoke/survey.h5", "notes"}) {
    EXPECT_EQ(collect(out() / inside), 64) << inside;
    EXPECT_FALSE(files_.exists(out() / inside)) << inside;
  }
  EXPECT_EQ(collect(out() / "second.h5"), 0) << "beside survey.h5";
  EXPECT_EQ(collect(survey), 0);
  EXPECT_EQ(collect(survey), 0) << "a survey is made anew";
  EXPECT_EQ(winnow({"collect", out().string()}).code, 0);
}

TEST_F(Directory, CollectKeepsASurveyThatHoldsMore) {
  const std::string place = out().string(), survey = (out() / "survey.h5").string();
  ASSERT_EQ(winnow({"collect", place}).code, 0);
  const auto before = files_.read(survey);
  auto bytes = files_.read(result(1));
  bytes.resize(bytes.size() / 2);
  files_.replace(result(1), std::span<const std::byte>(bytes));
  const Said refused = winnow({"collect", place});
  EXPECT_EQ(refused.code, 66);
  EXPECT_NE(refused.err.find("1 result that cannot be read any more (" + result(1).stem().string() + ")"),
            std::string::npos)
      << refused.err;
  EXPECT_EQ(files_.read(survey), before);
  EXPECT_EQ(winnow({"collect", place, "--replace"}).code, 0);
  EXPECT_EQ(read_survey(files_, survey).missing.size(), 3u);
  EXPECT_EQ(winnow({"collect", place}).code, 0) << "it holds no more than there is";
}

// What makes an old survey replaceable, or something to be removed, is what is in it, not that it cannot be read now.
TEST_F(Directory, AnErrorOfTheDiskIsNoVerdictOnAnOldSurvey) {
  ASSERT_EQ(winnow({"collect", out().string()}).code, 0);
  FaultyFiles counting;
  ASSERT_EQ(trials_in_survey(counting, out() / "survey.h5")->size(), 11u);
  ASSERT_GE(counting.operations(), 1);
  for (int at = 0; at < counting.operations(); ++at) {
    FaultyFiles files(Fault::InputOutput, at);
    try {
      trials_in_survey(files, out() / "survey.h5");
      ADD_FAILURE() << "operation " << at << " failed and nobody said so";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::Io) << error.what();
      EXPECT_EQ(std::string(error.what()).find("remove"), std::string::npos) << error.what();
    }
  }
}

// Whatever cannot be read while results are gathered, they are all there or the loss is said.
TEST_F(Directory, NoErrorOfTheDiskShortensASurveySilently) {
  FaultyFiles counting;
  gather_survey(counting, out());
  int listed = 0, thrown = 0;
  for (int at = 0; at < counting.operations() + 20; ++at) {
    FaultyFiles files(Fault::InputOutput, at);
    try {
      const Survey survey = gather_survey(files, out());
      std::size_t damaged = 0;
      for (const MissingTrial& missing : survey.missing) damaged += missing.state == "damaged";
      EXPECT_EQ(rows_of(survey.trials) + damaged, 11u) << at;
      listed += damaged > 0;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::Io) << error.what();
      ++thrown;
    }
  }
  // How many of each depends on what a child process reads.
  EXPECT_GE(listed, 4);
  EXPECT_GE(thrown, 4);
}

// As h5py does with mode "a": the seal is gone, the content is not.
TEST_F(Directory, AFileThatAnotherProgramOpenedStillCounts) {
  ASSERT_EQ(winnow({"collect", out().string()}).code, 0);
  const auto strip = [&](const fs::path& path) {
    const auto whole = files_.read(path);
    files_.replace(path, unsealed(whole).image);
  };
  strip(result(1));
  strip(out() / "survey.h5");
  const SweepStatus status = read_status(files_, out(), unix_now());
  EXPECT_EQ(status.done.size(), 10u);
  EXPECT_TRUE(status.damaged.empty());
  EXPECT_EQ(check_result(files_, result(1)).name, result(1).stem());
  EXPECT_EQ(rows_of(read_survey(files_, out() / "survey.h5").trials), 11u);
  EXPECT_EQ(winnow({"report", (out() / "survey.h5").string()}).code, 0);
  const Said collected = winnow({"collect", out().string()});
  EXPECT_EQ(collected.code, 0) << collected.err;
  EXPECT_NE(collected.out.find("11 of 13 trials"), std::string::npos) << collected.out;
}

// tests/results/golden/schema-1.0 was written before plans had files of their own and surveys had digests.
TEST(OlderFiles, OfEverySchemaSoFarAreRead) {
  TemporaryFolder folder;
  const fs::path out = folder.path() / "out";
  fs::copy(fs::path(WINNOW_SOURCE_DIR) / "tests/results/golden/schema-1.0", out, fs::copy_options::recursive);
  PosixFiles files;
  EXPECT_EQ(read_plan(files, out).size(), 13u);
  const SweepStatus status = read_status(files, out, unix_now());
  EXPECT_EQ(status.done.size() + status.diverged.size(), 2u);
  EXPECT_EQ(status.failed.size(), 1u);
  EXPECT_EQ(status.missing.size(), 10u);
  for (const auto& name : published_trials(files, out)) {
    const auto path = Layout(out).trial(name);
    EXPECT_EQ(check_result(files, path).name, name);
    const ReadTrial trial = read_whole_trial(files, path);
    const auto bytes = files.read(path);
    files.replace(path, unsealed(bytes).image);
    EXPECT_EQ(check_result(files, path).name, name) << "its digest still holds";
    EXPECT_EQ(load_weights(path).size(), 3u);
    EXPECT_EQ(read_whole_trial(files, path).result.summary, trial.result.summary);
  }
  EXPECT_EQ(rows_of(read_survey(files, out / "survey.h5").trials), 2u);
  const auto bytes = files.read(out / "survey.h5");
  files.replace(out / "survey.h5", unsealed(bytes).image);
  EXPECT_EQ(trials_in_survey(files, out / "survey.h5")->size(), 2u) << "replaceable";
  EXPECT_THROW(read_survey(files, out / "survey.h5"), Error) << "it has no digest to be judged by";
}

// A run under a rule, as it was written when results were of schema 1.4 and surveys of 1.1: one trial has its result, three were
// stopped, of which the files of two are left out.
TEST(OlderFiles, OfARunUnderARuleAreRead) {
  const fs::path out = fs::path(WINNOW_SOURCE_DIR) / "tests/results/golden/schema-1.4";
  const std::string done = "ffa14ef543408df3bae6-r1", stopped = "204f050198f17266093d-r0";
  PosixFiles files;
  const SweepStatus status = read_status(files, out, unix_now());
  EXPECT_EQ(status.planned, 4u);
  EXPECT_EQ(status.done, std::vector{done});
  EXPECT_EQ(stopped_trials(files, out), std::vector{stopped});
  for (const auto& path : {Layout(out).trial(done), Layout(out).stopped(stopped)}) {
    std::vector<fs::path> paths = {path};
    examine_trials(
        files, paths, [&](std::size_t, const ReadTrial& trial) { EXPECT_EQ(trial.header.name, path.stem()); },
        [](std::size_t, const Error& error) { ADD_FAILURE() << error.what(); });
    EXPECT_TRUE(read_record(files, path)) << "a survey needs no more of it than the end";
  }
  EXPECT_EQ(load_weights(Layout(out).trial(done)).size(), 6u);
  const TrialResult result = read_trial(files, Layout(out).trial(done));
  EXPECT_EQ(result.outcome, Outcome::Done);
  EXPECT_EQ(rows_of(result.epochs), 4u);
  const Journal journal = read_journal(files, Layout(out).journals() / "run.a0001.jnl");
  EXPECT_TRUE(journal.damaged.empty());
  EXPECT_EQ(journal.records.front().at("kind"), "attempt");
  EXPECT_EQ(journal.records.back().at("kind"), "over");
  const Survey survey = read_survey(files, out / "survey.h5");
  EXPECT_EQ(rows_of(survey.trials), 4u);
  EXPECT_EQ(survey.settings.at("method.name"), "snip");
}

TEST_F(Directory, ACopyOfAResultIsListedAndNotCounted) {
  const auto path = result(1);
  const auto stray = path.parent_path() / (path.stem().string() + " (copy).h5");
  const auto other = path.parent_path() / (sample_trial(1).spec.id + "-r9.h5");
  fs::copy_file(path, stray);
  fs::copy_file(path, other);
  const SweepStatus status = read_status(files_, out(), unix_now());
  EXPECT_EQ(status.planned, 13u);
  EXPECT_EQ(status.done.size(), 10u);
  ASSERT_EQ(status.damaged.size(), 2u);
  for (const auto& damaged : status.damaged) {
    EXPECT_NE(damaged.reason.find("is the result of " + path.stem().string()), std::string::npos) << damaged.reason;
  }
  const Said collected = winnow({"collect", out().string()});
  EXPECT_EQ(collected.code, 0) << collected.err;
  EXPECT_NE(collected.out.find("11 of 13 trials"), std::string::npos) << collected.out;
  EXPECT_NE(collected.err.find(other.string() + ": is the result of"), std::string::npos);
  const Said report = winnow({"report", out().string()});
  EXPECT_NE(report.out.find("13 trials: 10 done"), std::string::npos) << report.out;
}

TEST_F(Directory, AResultOfANewerVersionDoesNotBlockTheOthers) {
  write_newer(result(1));
  const SweepStatus status = read_status(files_, out(), unix_now());
  EXPECT_EQ(status.planned, 13u);
  EXPECT_EQ(status.done.size(), 9u);
  ASSERT_EQ(status.damaged.size(), 1u);
  EXPECT_NE(status.damaged[0].reason.find("schema version 2.0"), std::string::npos);
  const Said collected = winnow({"collect", out().string()});
  EXPECT_EQ(collected.code, 0) << collected.err;
  EXPECT_NE(collected.err.find("schema version 2.0"), std::string::npos) << collected.err;
  EXPECT_EQ(winnow({"report", out().string()}).code, 0);
  EXPECT_THROW(read_header(files_, result(1)), Error) << "asked for this file, it is an error";
}

TEST_F(Directory, OnlyAnOutputDirectoryIsRead) {
  const fs::path empty = folder_.path() / "empty", text = folder_.path() / "sweep.yaml";
  fs::create_directories(empty);
  std::ofstream(text) << "sweep: s\n";
  for (const char* verb : {"status", "collect", "report"}) {
    for (const fs::path& place : {empty, text, folder_.path() / "none"}) {
      const Said said = winnow({verb, place.string()});
      EXPECT_EQ(said.code, 66) << verb << " " << place << ": " << said.err;
      EXPECT_EQ(std::count(said.err.begin(), said.err.end(), '\n'), 1) << said.err;
    }
  }
  fs::remove(Layout(out()).plan());
  EXPECT_EQ(winnow({"status", out().string()}).code, 0) << "results alone are a directory too";
}

}  // namespace
}  // namespace winnow::test
