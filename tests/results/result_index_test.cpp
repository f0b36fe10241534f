// The index saves reading and never stands in for the files.
#include "experiments/results/result_index.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "experiments/results/layout.h"
#include "experiments/run/sweep_state.h"
#include "tests/results/samples.h"

namespace winnow::test {
namespace {

// Counts whole files read, and lets the times of all files be old enough to be trusted.
class CountingFiles : public PosixFiles {
 public:
  int reads = 0;
  std::vector<std::byte> read(const Path& path) override {
    reads += path.extension() == ".h5";
    return PosixFiles::read(path);
  }
  std::optional<Stamp> stamp(const Path& path) override {
    auto found = PosixFiles::stamp(path);
    if (found) found->changed -= 10'000'000'000;
    return found;
  }
};

class Index : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int i = 1; i <= 3; ++i) {
      TrialResult trial = sample_trial(i);
      if (i == 3) trial.outcome = Outcome::Diverged;
      publish(files_, folder_.path(), trial, kCreated);
      specs_.push_back(trial.spec);
    }
    specs_.push_back(sample_trial(4).spec);
  }
  std::vector<Found> find() {
    problems_.clear();
    files_.reads = 0;
    return find_results(files_, folder_.path(), TrialTable(specs_), std::vector<char>(specs_.size(), 1), problems_);
  }
  std::filesystem::path result(int i) const { return Layout(folder_.path()).trial(sample_trial(i).spec.name()); }

  TemporaryFolder folder_;
  CountingFiles files_;
  std::vector<TrialSpec> specs_;
  std::vector<std::string> problems_;
  const std::vector<Found> expected_ = {Found::Done, Found::Done, Found::Diverged, Found::Nothing};
};

TEST_F(Index, ASecondRunReadsNoResultAgain) {
  EXPECT_EQ(find(), expected_);
  EXPECT_EQ(files_.reads, 3);
  EXPECT_EQ(find(), expected_);
  EXPECT_EQ(files_.reads, 0);
  std::filesystem::remove(Layout(folder_.path()).index());
  EXPECT_EQ(find(), expected_);
  EXPECT_EQ(files_.reads, 3);
}

TEST_F(Index, AFileThatChangedIsReadAgain) {
  find();
  auto bytes = files_.read(result(2));
  bytes[200] ^= std::byte{4};
  files_.replace(result(2), std::span<const std::byte>(bytes));
  const auto found = find();
  EXPECT_EQ(files_.reads, 1);
  EXPECT_EQ(found[0], Found::Done);
  EXPECT_EQ(found[1], Found::Unreadable);
  ASSERT_EQ(problems_.size(), 1u);
  EXPECT_NE(problems_[0].find(result(2).string()), std::string::npos) << problems_[0];
  EXPECT_NE(problems_[0].find("remove it to train the trial again"), std::string::npos);
  std::filesystem::remove(result(2));
  EXPECT_EQ(find()[1], Found::Nothing);
}

TEST_F(Index, WhatIsWrongWithItMakesItEmpty) {
  for (const char* text : {"", "nonsense", "# winnow-index 9.0\n", "# winnow-index 1.0\tname\n\x01\x02\tq\n"}) {
    std::ofstream(Layout(folder_.path()).index()) << text;
    EXPECT_EQ(find(), expected_) << text;
    EXPECT_EQ(files_.reads, 3);
    std::filesystem::remove(Layout(folder_.path()).index());
  }
  std::filesystem::create_directory(Layout(folder_.path()).index());
  EXPECT_EQ(find(), expected_) << "it can neither be read nor written";
}

TEST_F(Index, AFileThatMayStillChangeIsNotInIt) {
  PosixFiles files;
  std::vector<std::string> problems;
  EXPECT_EQ(find_results(files, folder_.path(), TrialTable(specs_), std::vector<char>(specs_.size(), 1), problems),
            expected_);
  EXPECT_FALSE(files.exists(Layout(folder_.path()).index()));
}

// An error of the disk is no reason to remove a result.
TEST_F(Index, OnlyADamagedFileIsToBeRemoved) {
  class Broken : public PosixFiles {
   public:
    std::vector<std::byte> read(const Path& path) override {
      fail(ErrorKind::Io, "{}: cannot read: Input/output error", path.string());
    }
  } files;
  std::vector<std::string> problems;
  const auto found =
      find_results(files, folder_.path(), TrialTable(specs_), std::vector<char>(specs_.size(), 1), problems);
  EXPECT_EQ(found[0], Found::Unreadable);
  EXPECT_EQ(found[3], Found::Nothing);
  ASSERT_EQ(problems.size(), 3u);
  EXPECT_EQ(problems[0].find("remove"), std::string::npos) << problems[0];
}

}  // namespace
}  // namespace winnow::test
