// Collecting again: a survey is made anew only where something changed since.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <mutex>
#include <set>
#include <utility>

#include "experiments/results/container.h"
#include "experiments/results/layout.h"
#include "experiments/results/status.h"
#include "experiments/results/survey.h"
#include "tests/results/sample_sweep.h"
#include "tests/results/samples.h"

namespace winnow::test {
namespace {

namespace fs = std::filesystem;

// Which results more is read of than their notes, which `status` reads where the index of a run has none.
class ReadResults : public PosixFiles {
 public:
  std::vector<std::byte> read(const Path& path) override { return PosixFiles::read(noted(path)); }
  End read_end(const Path& path, std::size_t count) override {
    return PosixFiles::read_end(count > kNoteReach ? noted(path) : path, count);
  }
  std::set<std::string> take() { return std::exchange(read_, {}); }

 private:
  const Path& noted(const Path& path) {
    const std::lock_guard lock(writing_);
    if (path.extension() == ".h5" && path.stem() != "survey") read_.insert(path.stem().string());
    return path;
  }
  std::mutex writing_;
  std::set<std::string> read_;
};

class CollectedAgain : public ::testing::Test {
 protected:
  CollectedAgain() {
    write_sample_sweep(files_, sweep_.path());
    files_.take();
    first_ = collect();
    EXPECT_TRUE(first_.made);
    EXPECT_EQ(files_.take().size(), first_.trials) << "as it has to see them all once";
  }
  Collected collect(SurveyWeights weights = SurveyWeights::Link) {
    return collect_survey(files_, sweep_.path(), path(), weights);
  }
  fs::path path() const { return sweep_.path() / "survey.h5"; }
  fs::path some_result() { return Layout(sweep_.path()).trial(published_trials(files_, sweep_.path()).at(2)); }
  std::size_t rows() { return rows_of(read_survey(files_, path()).trials); }

  ReadResults files_;
  TemporaryFolder sweep_;
  Collected first_;
};

TEST_F(CollectedAgain, NothingIsReadAndWrittenWhereNothingChanged) {
  const auto before = files_.stamp(path());
  const Collected again = collect();
  EXPECT_FALSE(again.made);
  EXPECT_EQ(again.trials, first_.trials);
  EXPECT_EQ(again.planned, first_.planned);
  EXPECT_TRUE(files_.take().empty());
  EXPECT_EQ(files_.stamp(path()), before);
}

TEST_F(CollectedAgain, AResultThatCameOrWentOrWasReplacedIsSeen) {
  publish(files_, sweep_.path(), sample_trial(7, "dense", "0.1", 99, 0.9), "2026-11-28T00:00:00Z");
  EXPECT_TRUE(collect().made);
  EXPECT_EQ(rows(), first_.trials + 1);
  EXPECT_FALSE(collect().made);
  const fs::path result = some_result();
  const auto bytes = files_.read(result);
  fs::remove(result);
  EXPECT_TRUE(collect().made);
  EXPECT_EQ(rows(), first_.trials);
  files_.write_once(result, bytes);
  EXPECT_TRUE(collect().made);
  EXPECT_EQ(rows(), first_.trials + 1);
  files_.replace(result, std::span<const std::byte>(bytes));
  EXPECT_TRUE(collect().made) << "as large as before, at another time";
  EXPECT_FALSE(collect().made);
}

TEST_F(CollectedAgain, WhatIsKnownOfTrialsWithoutAResultCounts) {
  const auto missing = read_survey(files_, path()).missing;
  const auto failed = std::ranges::find(missing, "failed", &MissingTrial::state);
  ASSERT_NE(failed, missing.end());
  fs::remove(Layout(sweep_.path()).failure(failed->name));
  EXPECT_TRUE(collect().made);
  EXPECT_FALSE(collect().made);
}

TEST_F(CollectedAgain, AnotherKindOrPlaceOfSurveyIsMade) {
  EXPECT_TRUE(collect(SurveyWeights::Pack).made);
  EXPECT_FALSE(collect(SurveyWeights::Pack).made);
  EXPECT_TRUE(collect().made);
  // Its links would lead nowhere.
  fs::create_directories(sweep_.path() / "of" / "others");
  const fs::path elsewhere = sweep_.path() / "of" / "others" / "survey.h5";
  fs::copy_file(path(), elsewhere);
  EXPECT_TRUE(collect_survey(files_, sweep_.path(), elsewhere, SurveyWeights::Link).made);
}

TEST_F(CollectedAgain, OneDirectoryHasOneName) {
  const fs::path elsewhere = sweep_.path() / "of" / "others.h5";
  EXPECT_TRUE(collect_survey(files_, sweep_.path(), elsewhere, SurveyWeights::Link).made);
  EXPECT_FALSE(collect_survey(files_, sweep_.path() / "", elsewhere, SurveyWeights::Link).made);
  EXPECT_FALSE(collect_survey(files_, sweep_.path() / "of" / "..", elsewhere, SurveyWeights::Link).made);
}

// As git-annex leaves files without their content.
TEST_F(CollectedAgain, ALinkToNothingIsADamagedResultAmongOthers) {
  const fs::path result = some_result();
  fs::remove(result);
  fs::create_symlink("nothing", result);
  const auto collected = collect();
  EXPECT_TRUE(collected.made);
  EXPECT_EQ(collected.trials, first_.trials - 1);
  EXPECT_EQ(collected.planned, first_.planned);
}

// What columns mean is in the content alone, behind which the records of all stay readable.
TEST_F(CollectedAgain, ASurveyThatLacksWhatColumnsMeanIsMadeAnew) {
  std::vector<std::pair<fs::path, std::vector<std::byte>>> sound;
  for (const std::string& name : published_trials(files_, sweep_.path())) {
    const fs::path result = Layout(sweep_.path()).trial(name);
    auto bytes = files_.read(result);
    const auto when = fs::last_write_time(result);
    sound.emplace_back(result, bytes);
    bytes[0] ^= std::byte{1};
    files_.replace(result, std::span<const std::byte>(bytes));
    fs::last_write_time(result, when);
  }
  fs::remove(path());
  EXPECT_TRUE(collect().made);
  EXPECT_TRUE(collect().made);
  EXPECT_EQ(rows(), first_.trials);
}

TEST_F(CollectedAgain, ASurveyThatWasDamagedOrChangedIsNoneThatIsUpToDate) {
  auto bytes = files_.read(path());
  const auto sound = bytes;
  bytes[bytes.size() / 2] ^= std::byte{1};
  files_.replace(path(), std::span<const std::byte>(bytes));
  EXPECT_TRUE(collect().made);
  EXPECT_EQ(files_.read(path()), sound);
  bytes = sound;
  bytes.resize(bytes.size() - 100);
  files_.replace(path(), std::span<const std::byte>(bytes));
  EXPECT_TRUE(collect().made);
  EXPECT_EQ(files_.read(path()), sound);
}

TEST_F(CollectedAgain, WhatAKilledCollectLeftIsRemovedLater) {
  const fs::path folder = sweep_.path() / "elsewhere";
  const auto leave = [&](const std::string& name, int hours_ago) {
    const fs::path left = folder / name;
    files_.replace(left, "part of a survey");
    fs::last_write_time(left, fs::file_time_type::clock::now() - std::chrono::hours(hours_ago));
    return left;
  };
  const std::string ours = "survey.h5.tmp.0123456789abcdef0123456789abcde";
  const fs::path young = leave(ours + "0", 0), old = leave(ours + "1", 2);
  const fs::path theirs[] = {leave("notes.tmp.2026.txt", 2), leave("survey.h5.tmp.mine", 2)};
  ASSERT_TRUE(is_temporary(old.filename().string()));
  collect_survey(files_, sweep_.path(), folder / "survey.h5", SurveyWeights::Link);
  EXPECT_TRUE(fs::exists(young)) << "somebody may be at it";
  EXPECT_FALSE(fs::exists(old));
  for (const fs::path& file : theirs) EXPECT_TRUE(fs::exists(file)) << file << ": no file of ours";
}

TEST_F(CollectedAgain, ADamagedResultIsSaidEachTime) {
  const fs::path result = some_result();
  auto bytes = files_.read(result);
  bytes.resize(bytes.size() / 2);
  files_.replace(result, std::span<const std::byte>(bytes));
  for (int i = 0; i < 2; ++i) {
    int damaged = 0;
    const auto collected =
        collect_survey(files_, sweep_.path(), path(), SurveyWeights::Link, [&](const Survey& survey) {
          damaged = static_cast<int>(std::ranges::count(survey.missing, "damaged", &MissingTrial::state));
        });
    EXPECT_TRUE(collected.made);
    EXPECT_EQ(collected.trials, first_.trials - 1);
    EXPECT_EQ(damaged, 1);
  }
}

}  // namespace
}  // namespace winnow::test
