// The survey file: it comes back as it was, is stored for quick loading, says its names without the rest, and is replaced whole or
// not at all.
#include "experiments/results/survey.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <map>
#include <nlohmann/json.hpp>

#include "experiments/results/container.h"
#include "experiments/results/hdf5.h"
#include "experiments/results/isolated.h"
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
    collect_survey(files, folder.path(), path, weights);
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

// Trials with so many rows that most of them are on disk before the last ones are read, and with columns of their own.
class LongSurvey : public ::testing::Test {
 protected:
  static constexpr std::size_t kRows = 30000, kTrials = 8;
  using Reals = std::vector<double>;
  using Integers = std::vector<std::int64_t>;
  using Texts = std::vector<std::string>;

  template <class T>
  static std::vector<T> column(T value) {
    return std::vector<T>(kRows, value);
  }

  void SetUp() override {
    std::map<std::string, int> order;  // results are read in the order of their names
    for (int replicate = 0; replicate < static_cast<int>(kTrials); ++replicate) {
      order[sample_trial(7, "dense", "0.1", replicate, 0.9).spec.name()] = replicate;
    }
    std::size_t place = 0;
    for (const auto& [name, replicate] : order) {
      TrialResult trial = sample_trial(7, "dense", "0.1", replicate, 0.9);
      Integers epochs(kRows);
      Reals losses(kRows);
      for (std::size_t row = 0; row < kRows; ++row) {
        epochs[row] = static_cast<std::int64_t>(row);
        losses[row] = static_cast<double>(place) + 1.0 / static_cast<double>(row + 1);
      }
      trial.epochs = {{{"epoch", epochs}, {"loss", losses}}};
      auto& columns = trial.epochs.columns;
      if (place != 4) columns.push_back({"whole", column<std::int64_t>(5)});  // missing once, after parts were written
      if (place >= 5) columns.push_back({"late", column(2.5)});
      if (place >= 5) columns.push_back({"late.whole", column<std::int64_t>(6)});
      if (place >= 6) columns.push_back({"late.text", column<std::string>(place == 6 ? "z" : "a")});
      if (place == 7) columns.push_back({"loss.text", column<std::string>("b")});
      publish(files_, folder_.path(), trial, "2026-11-28T00:00:00Z");
      ++place;
    }
  }

  PosixFiles files_;
  TemporaryFolder folder_;
};

TEST_F(LongSurvey, IsTheSameWrittenInPartsAndGatheredInMemory) {
  const auto path = folder_.path() / "survey.h5";
  collect_survey(files_, folder_.path(), path, SurveyWeights::Link,
                 [](const Survey& rest) { EXPECT_TRUE(rest.epochs.columns.empty()) << "they are on disk"; });
  const Survey back = read_survey(files_, path), memory = gather_survey(files_, folder_.path());
  ASSERT_EQ(back.epochs.columns.size(), memory.epochs.columns.size());
  for (std::size_t c = 0; c < back.epochs.columns.size(); ++c) {
    const Column &found = back.epochs.columns[c], &expected = memory.epochs.columns[c];
    EXPECT_EQ(found.name, expected.name);
    ASSERT_EQ(found.values.index(), expected.values.index()) << found.name;
    ASSERT_EQ(rows_of(back.epochs), kRows * kTrials);
    for (std::size_t row = 0; row < kRows * kTrials; row += 997) {
      ASSERT_EQ(cell_text(back.epochs, found.name, row), cell_text(memory.epochs, found.name, row))
          << found.name << row;
    }
  }
}

TEST_F(LongSurvey, ColumnsThatComeLateAreFilledUpFromTheStart) {
  const auto path = folder_.path() / "survey.h5";
  collect_survey(files_, folder_.path(), path, SurveyWeights::Link);
  const Survey survey = read_survey(files_, path);
  const auto cell = [&](const char* name, std::size_t trial, std::size_t row = 3) {
    return cell_text(survey.epochs, name, trial * kRows + row);
  };
  for (std::size_t trial = 0; trial < kTrials; ++trial) {
    EXPECT_EQ(cell("trial", trial), std::to_string(trial));
    EXPECT_EQ(cell("epoch", trial), "3");
    EXPECT_EQ(cell("loss", trial), fmt::format("{}", static_cast<double>(trial) + 0.25));
    EXPECT_EQ(cell("whole", trial), trial == 4 ? "" : "5");
    EXPECT_EQ(cell("late", trial), trial < 5 ? "" : "2.5");
    EXPECT_EQ(cell("late.whole", trial), trial < 5 ? "" : "6");
    EXPECT_EQ(cell("late.text", trial), trial < 6 ? "" : trial == 6 ? "z" : "a");
  }
  EXPECT_EQ(rows_of(survey.trials), kTrials);
}

// pandas reads a million rows in the time that unpacking them alone would take.
TEST(Survey, ColumnsAreStoredAsTheyAre) {
  TemporaryFolder folder;
  PosixFiles files;
  write_sample_sweep(files, folder.path());
  const auto path = folder.path() / "survey.h5";
  collect_survey(files, folder.path(), path, SurveyWeights::Link);
  const auto bytes = files.read(path);
  const Hdf5File file = Hdf5File::from_bytes(unsealed(bytes).image, "survey");
  EXPECT_EQ(file.text("/", "schema_version"), "1.1");
  const auto rows = std::ssize(file.read<double>("/layers/trial"));
  EXPECT_GT(rows, 0);
  EXPECT_EQ(file.stored_bytes("/layers/trial"), rows * std::int64_t{sizeof(std::int64_t)});
  EXPECT_EQ(file.stored_bytes("/layers/name/codes"), rows * std::int64_t{sizeof(std::int32_t)});
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
  collect_survey(files, folder.path(), path, SurveyWeights::Link);
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
  const auto path = sweep.path() / "survey.h5";
  collect_survey(sound, sweep.path(), path, SurveyWeights::Link);
  const auto old = sound.read(path);
  publish(sound, sweep.path(), sample_trial(7, "dense", "0.1", 99, 0.9), "2026-11-28T00:00:00Z");
  FaultyFiles counting;
  const std::size_t trials = collect_survey(counting, sweep.path(), path, SurveyWeights::Link).trials;
  for (const Fault fault : {Fault::DieBefore, Fault::DieHalfWay, Fault::NoSpace, Fault::InputOutput}) {
    for (int at = 0; at < counting.operations(); ++at) {
      sound.replace(path, std::span<const std::byte>(old));
      FaultyFiles files(fault, at);
      try {
        collect_survey(files, sweep.path(), path, SurveyWeights::Link);
        EXPECT_TRUE(fault == Fault::NoSpace || fault == Fault::InputOutput)
            << "of a result it is only a warning " << at;
      } catch (const std::exception&) {
        const std::size_t found = rows_of(read_survey(sound, path).trials);
        EXPECT_TRUE(found == trials || found == trials - 1) << at << " " << found;
      }
    }
  }
  collect_survey(sound, sweep.path(), path, SurveyWeights::Link);
  EXPECT_EQ(rows_of(read_survey(sound, path).trials), trials);
}

// What is written by the library and not by Files, on a full disk.
class FullDisk : public ::testing::TestWithParam<SurveyWeights> {};
INSTANTIATE_TEST_SUITE_P(Survey, FullDisk, ::testing::Values(SurveyWeights::Link, SurveyWeights::Pack));

TEST_P(FullDisk, IsSaidAndTheOldOneStays) {
  TemporaryFolder sweep;
  PosixFiles files;
  write_sample_sweep(files, sweep.path());
  const auto path = sweep.path() / "survey.h5";
  collect_survey(files, sweep.path(), path, GetParam());
  const auto old = files.read(path);
  publish(files, sweep.path(), sample_trial(7, "dense", "0.1", 99, 0.9),
          "2026-11-28T00:00:00Z");  // else nothing is done
  const auto said_with_room_for = [&](rlim_t bytes) {
    return text_of(run_isolated("child", [&] {
      std::signal(SIGXFSZ, SIG_IGN);
      const rlimit size{bytes, bytes};
      std::string said = "nothing";
      try {
        if (::setrlimit(RLIMIT_FSIZE, &size) == 0) collect_survey(files, sweep.path(), path, GetParam());
      } catch (const Error& error) {
        said = error.what();
      }
      const auto raw = std::as_bytes(std::span(said));
      return std::vector<std::byte>(raw.begin(), raw.end());
    }));
  };
  for (const std::size_t room : {std::size_t{100}, old.size() / 4, old.size() / 2, old.size() - 600, old.size() - 10}) {
    const std::string said = said_with_room_for(room);
    const bool is_said = said.find("cannot write: File too large") != std::string::npos ||
                         said.find("cannot be written, as on a full disk") != std::string::npos;
    EXPECT_TRUE(is_said) << room << " " << said;
  }
  EXPECT_EQ(files.read(path), old);
  for (const auto& entry : std::filesystem::directory_iterator(sweep.path())) {
    EXPECT_FALSE(is_temporary(entry.path().filename().string())) << entry.path();
  }
}

}  // namespace
}  // namespace winnow::test
