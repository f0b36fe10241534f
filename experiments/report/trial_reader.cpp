#include "experiments/report/trial_reader.h"

#include <charconv>
#include <cmath>
#include <set>

#include "experiments/results/container.h"

namespace winnow {
namespace {

// Settings that say what is trained and how; what is left describes the method.
bool is_recipe(const std::string& key) {
  return key.starts_with("data.") || key.starts_with("model.") || key.starts_with("train.");
}

// Where the files lay is no part of what was read, what is saved and what computed it no part of what was trained.
bool is_of_the_experiment(const std::string& key) {
  return key != "data.root" && !is_of_the_device(key) && !key.starts_with("save.");
}

class SurveyReader {
 public:
  explicit SurveyReader(const Survey& survey) : survey_(survey) {
    const std::set<std::string> own = {"name", "id", "replicate", "state", "reason", "created", "content_digest"};
    for (const Column& column : survey.trials.columns) {
      const auto* values = std::get_if<std::vector<double>>(&column.values);
      if (values != nullptr && column.description != kSettingColumn) {
        numbers_.emplace_back(column.name, values);
      } else if (!own.contains(column.name) && !column.name.starts_with("provenance.")) {
        settings_.emplace_back(setting_of(column), column.name);
      }
    }
  }

  ReportTrial operator()(std::size_t row) const {
    const auto own = [&](const char* column) { return cell_text(survey_.trials, column, row); };
    ReportTrial trial;
    trial.name = own("name");
    trial.id = own("id");
    trial.state = own("state");
    trial.reason = own("reason");
    trial.digest = own("provenance.data.digest");
    trial.precision = own("provenance.precision");
    trial.device = own("provenance.device");
    if (trial.device.empty()) trial.device = "cpu";  // before there were others
    const std::string fused = own("provenance.statistics.fused");
    trial.sums = fused.empty() || fused.starts_with("0 ") ? "batch norms" : "convolutions";
    trial.start = own("provenance.lineage.start.digest");
    trial.replicate = static_cast<std::int64_t>(number_of(own("replicate")));
    trial.model = setting("model.name", row);
    trial.data = setting("data.name", row);
    trial.method = setting("method.name", row);
    trial.density = setting("method.density", row);
    for (const auto& [key, column] : settings_) {
      if (key == "model.name" || key == "data.name" || key == "method.name" || key == "method.density") continue;
      if (!is_of_the_experiment(key)) continue;
      (is_recipe(key) ? trial.recipe : trial.rest)[key] = cell_text(survey_.trials, column, row);
    }
    for (const auto& [name, values] : numbers_) {
      if (!std::isnan((*values)[row])) trial.summary[name] = (*values)[row];
    }
    return trial;
  }

  // Of a trial, whether or not it varies in the survey; "" if it has none.
  std::string setting(const std::string& key, std::size_t row) const {
    const std::string here = cell_text(survey_.trials, key, row);
    if (!here.empty()) return here;
    const auto common = survey_.settings.find(key);
    return common == survey_.settings.end() ? "" : common->second;
  }

 private:
  const Survey& survey_;
  std::vector<std::pair<std::string, std::string>> settings_;  // and the column that has it
  std::vector<std::pair<std::string, const std::vector<double>*>> numbers_;
};

// A start is its content: under another path it is the same, and a file that was replaced under its path is another one,
// though all settings read alike.
void tell_starts_apart(const SurveyReader& read, std::vector<ReportTrial>& trials) {
  constexpr const char* kPath = "init.from";
  std::map<std::string, std::string> paths;              // the first, by digest
  std::map<std::string, std::set<std::string>> digests;  // by that path
  for (std::size_t row = 0; row < trials.size(); ++row) {
    const std::string& start = trials[row].start;
    if (start.empty()) continue;
    digests[paths.try_emplace(start, read.setting(kPath, row)).first->second].insert(start);
  }
  for (ReportTrial& trial : trials) {
    if (trial.start.empty()) continue;
    const std::string& path = paths[trial.start];
    if (const auto shown = trial.rest.find(kPath); shown != trial.rest.end()) shown->second = path;
    if (digests[path].size() > 1) trial.rest["start"] = trial.start.substr(0, 8);
  }
}

}  // namespace

std::vector<ReportTrial> read_trials(const Survey& survey) {
  const SurveyReader read(survey);
  std::vector<ReportTrial> trials;
  for (std::size_t row = 0; row < rows_of(survey.trials); ++row) trials.push_back(read(row));
  tell_starts_apart(read, trials);
  return trials;
}

Settings settings_in(const Survey& survey, std::size_t row) {
  Settings settings;
  for (const auto& [key, value] : survey.settings) settings.set(key, value);
  for (const Column& column : survey.trials.columns) {
    if (column.description != kSettingColumn) continue;
    const std::string text = cell_text(survey.trials, column.name, row);
    if (!text.empty()) settings.set(setting_of(column), text);
  }
  return settings;
}

double number_of(const std::string& text) {
  double value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  return parsed.ec == std::errc() ? value : 0;
}

}  // namespace winnow
