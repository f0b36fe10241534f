#include "experiments/results/survey.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.h"
#include "experiments/results/layout.h"
#include "experiments/results/trial_columns.h"
#include "experiments/results/trial_file.h"
#include "experiments/results/trial_record.h"

namespace winnow {
namespace {

// False: what some columns mean could not be read.
bool describe(Files& files, const Layout& layout, const TrialColumns& trials, SurveyRows& rows) {
  // A file may be damaged where its record is not; another trial says the same of a column.
  constexpr std::size_t kMostTries = 8;
  std::set<std::size_t> first = rows.epochs.first_trials();
  first.insert(rows.layers.first_trials().begin(), rows.layers.first_trials().end());
  bool is_whole = true;
  for (const std::size_t trial : first) {
    bool is_described = false;
    for (std::size_t at = trial; at < std::min(trials.rows().size(), trial + kMostTries); ++at) {
      const auto& [name, outcome] = trials.rows()[at];
      try {
        const TrialResult whole =
            read_trial(files, outcome == Outcome::Stopped ? layout.stopped(name) : layout.trial(name));
        rows.epochs.describe(whole.epochs);
        rows.layers.describe(whole.layers);
        is_described = true;
        break;
      } catch (const Error& error) {
        if (!is_unreadable(error)) throw;
      }
    }
    is_whole = is_whole && is_described;
  }
  return is_whole;
}

// What is planned and has no result; some of it may be in `survey.missing` already, as damaged.
void add_missing(const SurveyInputs& inputs, const TrialColumns& trials, Survey& survey) {
  std::set<std::string> unreadable, there;
  for (const MissingTrial& damaged : survey.missing) unreadable.insert(damaged.name);
  const SweepStatus& status = inputs.status;
  survey.planned = std::max(status.planned, trials.rows().size());
  const auto add = [&](const std::string& name, const char* state, const std::string& reason,
                       const std::string& settings) {
    if (!unreadable.contains(name)) survey.missing.push_back({name, state, reason, settings});
  };
  for (const auto& failed : status.failed) add(failed.name, "failed", failed.reason, "");
  for (const auto& running : status.running) add(running.name, "running", "", running.label);
  for (const auto& missing : status.missing) add(missing.name, "missing", "", missing.canonical);
  for (const auto& row : trials.rows()) there.insert(row.name);  // a trial that goes on after a stop is both
  std::erase_if(survey.missing, [&](const MissingTrial& trial) { return there.contains(trial.name); });
  for (auto& missing : survey.missing) {
    if (const auto found = inputs.planned.find(missing.name); found != inputs.planned.end()) {
      missing.settings = found->second;
    }
  }
}

}  // namespace

Survey gather_survey(Files& files, const std::filesystem::path& out, const SurveyInputs& inputs, SurveyRows& rows) {
  const Layout layout(out);
  const auto& names = inputs.names;
  const auto& paths = inputs.paths;
  Survey survey;
  TrialColumns trials;
  const auto skip = [&](std::size_t i, const Error& error) {
    if (!is_unreadable(error)) throw error;
    if (paths[i] == layout.stopped(names[i]) && !files.exists(paths[i])) return;  // it went on meanwhile
    survey.missing.push_back({names[i], "damaged", error.what(), ""});
  };
  const auto take = [&](std::size_t i, const TrialRecord& record) {
    try {
      check_owner(paths[i], record.header.name);
    } catch (const Error& error) {
      return skip(i, error);
    }
    const std::size_t row = trials.rows().size();
    trials.add(record);
    rows.epochs.append(row, record.epochs);
    rows.layers.append(row, record.layers);
    rows.added();
  };
  read_records(files, paths, take, skip);
  rows.described = describe(files, layout, trials, rows);
  survey.settings = trials.common_settings();
  survey.trials = trials.table();
  add_missing(inputs, trials, survey);
  return survey;
}

Survey gather_survey(Files& files, const std::filesystem::path& out) {
  SurveyRows rows;
  Survey survey = gather_survey(files, out, survey_inputs(files, out), rows);
  survey.epochs = rows.epochs.take();
  survey.layers = rows.layers.take();
  return survey;
}

std::string setting_of(const Column& column) {
  const std::string_view name = column.name, prefix = kSettingPrefix;
  return std::string(name.starts_with(prefix) ? name.substr(prefix.size()) : name);
}

std::string cell_text(const Table& table, const std::string& column, std::size_t row) {
  for (const Column& candidate : table.columns) {
    if (candidate.name != column) continue;
    if (const auto* texts = std::get_if<std::vector<std::string>>(&candidate.values)) return (*texts)[row];
    if (const auto* integers = std::get_if<std::vector<std::int64_t>>(&candidate.values))
      return std::to_string((*integers)[row]);
    const double value = std::get<std::vector<double>>(candidate.values)[row];
    return std::isnan(value) ? "" : fmt::format("{}", value);
  }
  return "";
}

}  // namespace winnow
