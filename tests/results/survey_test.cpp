// The survey file: it comes back as it was, is stored for quick loading, says its names without the rest, and is replaced whole or
// not at all.
#include "experiments/results/survey.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "experiments/results/container.h"
#include "experiments/results/hdf5.h"
#include "tests/results/faulty_files.h"
#include "tests/results/sample_sweep.h"
#include "tests/results/samples.h"

namespace winnow::test {
namespace {

TEST(Survey, ComesBackFromItsFile) {
  TemporaryFolder folder;
  PosixFiles files;
  write_sample_sweep(files, folder.path());
  const Survey survey = gather_survey(files, folder.path());
  EXPECT_EQ(survey.planned, 13u);
  EXPECT_EQ(survey.missing.size(), 2u);
  EXPECT_EQ(survey.settings.at("train.lr"), "0.1");
  EXPECT_FALSE(survey.settings.contains("method.name"));
  EXPECT_EQ(cell_text(survey.trials, "method.alpha", 0), "") << "dense has no alpha";
  for (const SurveyWeights weights : {SurveyWeights::Link, SurveyWeights::Pack}) {
    const auto path = folder.path() / "out" / "survey.h5";
    write_survey(files, survey, folder.path(), path, weights);
    const Survey back = read_survey(files, path);
    EXPECT_EQ(back.settings, survey.settings);
    EXPECT_EQ(back.planned, survey.planned);
    ASSERT_EQ(back.trials.columns.size(), survey.trials.columns.size());
    for (std::size_t c = 0; c < survey.trials.columns.size(); ++c) {
      EXPECT_EQ(back.trials.columns[c].name, survey.trials.columns[c].name);
      EXPECT_EQ(cell_text(back.trials, back.trials.columns[c].name, 7),
                cell_text(survey.trials, survey.trials.columns[c].name, 7));
    }
    EXPECT_EQ(back.missing.size(), 2u);
    EXPECT_EQ(back.missing[0].reason, "out of memory");
  }
}

// pandas reads a million rows in the time that unpacking them alone would take.
TEST(Survey, ColumnsAreStoredAsTheyAre) {
  constexpr std::size_t kRows = 5000;
  TemporaryFolder folder;
  PosixFiles files;
  write_sample_sweep(files, folder.path());
  Survey survey = gather_survey(files, folder.path());
  survey.epochs = {{{"trial", std::vector<std::int64_t>(kRows)}, {"loss", std::vector<double>(kRows)}}};
  const auto path = folder.path() / "survey.h5";
  write_survey(files, survey, folder.path(), path, SurveyWeights::Link);
  const auto bytes = files.read(path);
  const Hdf5File file = Hdf5File::from_bytes(unsealed(bytes).image, "survey");
  EXPECT_EQ(file.text("/", "schema_version"), "1.1");
  EXPECT_EQ(file.stored_bytes("/metrics/epoch/trial"), std::int64_t{kRows * sizeof(std::int64_t)});
  EXPECT_EQ(file.stored_bytes("/metrics/epoch/loss"), std::int64_t{kRows * sizeof(double)});
}

// `collect` looks at the names in the survey that it will replace, which may be large.
TEST(Survey, ItsNamesAreReadWithoutTheRestAndFromTheRest) {
  class Counting : public PosixFiles {
   public:
    int whole = 0;
    std::vector<std::byte> read(const Path& path) override {
      ++whole;
      return PosixFiles::read(path);
    }
  } files;
  TemporaryFolder folder;
  write_sample_sweep(files, folder.path());
  const Survey survey = gather_survey(files, folder.path());
  const auto& names = std::get<std::vector<std::string>>(survey.trials.columns.at(0).values);
  ASSERT_GT(names.size(), 5u);
  const auto path = folder.path() / "survey.h5";
  write_survey(files, survey, folder.path(), path, SurveyWeights::Link);
  files.whole = 0;
  EXPECT_EQ(trials_in_survey(files, path), names);
  EXPECT_EQ(files.whole, 0);

  const auto bytes = files.read(path);
  const auto content = unsealed(bytes);
  std::vector<std::byte> image(content.image.begin(), content.image.end());
  const auto names_of = [&](const std::string& note) {
    files.replace(path, std::span<const std::byte>(sealed(image, note)));
    return trials_in_survey(files, path);
  };
  for (const char* note :
       {"{}", R"({"schema": "winnow-survey", "schema_version": "1.1"})",
        R"({"schema": "winnow-survey", "schema_version": 1, "names": 3})",
        R"({"schema": "winnow-survey", "schema_version": "1.1", "names": {"bytes": -1, "crc32": 0}})",
        R"({"schema": "winnow-survey", "schema_version": "1.1", "names": {"bytes": 9, "crc32": 0}})"}) {
    EXPECT_EQ(names_of(note), names) << note;
  }
  image.back() = std::byte{'x'};  // of the list
  EXPECT_EQ(names_of(content.note), names);
}

TEST(Survey, KilledAtAnyOperationTheOldOneOrTheNewOneIsThere) {
  TemporaryFolder sweep;
  PosixFiles sound;
  write_sample_sweep(sound, sweep.path());
  const Survey whole = gather_survey(sound, sweep.path());
  Survey old = whole;
  old.planned = 99;
  const auto path = sweep.path() / "survey.h5";
  FaultyFiles counting;
  write_survey(counting, whole, sweep.path(), path, SurveyWeights::Link);
  for (const Fault fault : {Fault::DieBefore, Fault::DieHalfWay, Fault::NoSpace, Fault::InputOutput}) {
    for (int at = 0; at < counting.operations(); ++at) {
      write_survey(sound, old, sweep.path(), path, SurveyWeights::Link);
      FaultyFiles files(fault, at);
      EXPECT_ANY_THROW(write_survey(files, whole, sweep.path(), path, SurveyWeights::Link)) << at;
      const auto planned = read_survey(sound, path).planned;
      EXPECT_TRUE(planned == 99 || planned == whole.planned) << at;
      write_survey(sound, whole, sweep.path(), path, SurveyWeights::Link);
      EXPECT_EQ(read_survey(sound, path).planned, whole.planned);
    }
  }
}

}  // namespace
}  // namespace winnow::test
