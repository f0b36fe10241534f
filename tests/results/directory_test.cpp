// Files and folders a user may hand to status, collect and report by mistake, and files that do not
// belong among the results.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "core/error.h"
#include "experiments/cli/verbs.h"
#include "experiments/results/container.h"
#include "experiments/results/layout.h"
#include "experiments/results/status.h"
#include "experiments/results/survey.h"
#include "experiments/results/trial_file.h"
#include "tests/results/sample_sweep.h"
#include "tests/results/samples.h"

namespace winnow::test {
namespace {

namespace fs = std::filesystem;

struct Said {
  int code;
  std::string out, err;
};

class Directory : public ::testing::Test {
 protected:
  void SetUp() override { write_sample_sweep(files_, out()); }

  fs::path out() const { return folder_.path() / "out"; }
  fs::path result(int number) const { return Layout(out()).trial(sample_trial(number).spec.name()); }
  static Said winnow(const std::vector<std::string>& args) {
    std::ostringstream out, err;
    const int code = run_command_line(args, out, err);
    return {code, out.str(), err.str()};
  }
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
  EXPECT_EQ(collect(survey), 0);
  EXPECT_EQ(collect(survey), 0) << "a survey is made anew";
  EXPECT_EQ(winnow({"collect", out().string()}).code, 0);
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
