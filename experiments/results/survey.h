// All trials of an output directory in a few tables: the survey file (schema winnow-survey 1.1,
// described in docs/formats.md) and what the report reads. Derived from the result files, rebuilt
// and never updated in place.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiments/results/files.h"
#include "experiments/results/long_table.h"
#include "experiments/results/survey_inputs.h"
#include "experiments/trial.h"

namespace winnow {

struct MissingTrial {
  std::string name;
  std::string state;  // "missing", "failed", "running", "damaged" (the reason says how)
  std::string reason;
  std::string settings;  // as in the plan, if it is known
};

// The description of the columns of /trials that are settings; a setting and a fact may have one name.
inline constexpr const char* kSettingColumn = "setting";
// The setting in such a column: its name, or what comes behind this where a summary value has the name too.
inline constexpr const char* kSettingPrefix = "setting.";
std::string setting_of(const Column& column);

struct Survey {
  // One row per result, index "name"; then id, replicate, state, reason, created, every setting that varies (numbers
  // where all its values are numbers, NaN where a trial has none; else text), and every summary value (NaN likewise).
  Table trials;
  Table epochs, layers;                         // long: column "trial" is the row in `trials`
  std::map<std::string, std::string> settings;  // those equal in all trials
  std::vector<MissingTrial> missing;            // planned and without a result
  std::size_t planned = 0;
};

// The rows of `epochs` and `layers` on their way; `added` is called after each trial, and may take them out.
struct SurveyRows {
  LongTable epochs, layers;
  std::function<void()> added = [] {};
  bool described = false;  // what each column means was read
};

// Reads every result; one that cannot be used (is_unreadable) is listed in `missing` as damaged.
// Error{Input} if `out` is no output directory.
Survey gather_survey(Files& files, const std::filesystem::path& out);
// From these inputs of `out`, and without those tables, which are in `rows`.
Survey gather_survey(Files& files, const std::filesystem::path& out, const SurveyInputs& inputs, SurveyRows& rows);

enum class SurveyWeights { Link, Pack };
struct Collected {
  bool made = false;  // not: the survey that is there was made from what there is, and is whole
  std::size_t trials = 0, planned = 0;
};
// Gathers into the file `path`, which is whole or as it was; what of it is longer than a row for each trial is on disk and
// not in memory. Links point to the result files relative to the survey file. `accept` sees what was gathered, without the
// long tables, before it takes the place of an older survey, and can throw. Where nothing changed since the survey at
// `path` was made, nothing is gathered or written.
Collected collect_survey(
    Files& files, const std::filesystem::path& out, const std::filesystem::path& path, SurveyWeights weights,
    const std::function<void(const Survey&)>& accept = [](const Survey&) {});
Survey read_survey(Files& files, const std::filesystem::path& path);
// The names of the trials in the survey at `path`, if there is one that this winnow can replace: derived, so it can be
// made again. Nothing for any other file; Error{Io} where it cannot be looked at.
std::optional<std::vector<std::string>> trials_in_survey(Files& files, const std::filesystem::path& path);
// The digest of what the survey at `path` was made from; nothing where it does not say, or is not whole.
std::optional<std::string> inputs_of_survey(Files& files, const std::filesystem::path& path);

// A row's text in a column of any type; "" where the column is absent or the number is NaN.
std::string cell_text(const Table& table, const std::string& column, std::size_t row);

}  // namespace winnow
