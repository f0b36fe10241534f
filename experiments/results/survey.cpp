#include "experiments/results/survey.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <set>

#include "core/error.h"
#include "experiments/results/container.h"
#include "experiments/results/layout.h"
#include "experiments/results/status.h"
#include "experiments/results/summary.h"
#include "experiments/results/trial_file.h"
#include "experiments/results/trial_record.h"

namespace winnow {
namespace {

using Reals = std::vector<double>;
using Integers = std::vector<std::int64_t>;
using Strings = std::vector<std::string>;

// These identify a row even where a sweep has only one of them.
constexpr const char* kAlwaysColumns[] = {"data.name", "model.name", "method.name"};

// What a number column says of a trial that lacks it; a column of integers becomes real for it.
const double kAbsentNumber = std::numeric_limits<double>::quiet_NaN();

std::size_t size_of(const Column& column) {
  return std::visit([](const auto& values) { return values.size(); }, column.values);
}

void make_real(Column& column) {
  if (const auto* integers = std::get_if<Integers>(&column.values))
    column.values = Reals(integers->begin(), integers->end());
}

// Appends tables of different trials below each other; columns that one of them lacks are filled up.
class LongTable {
 public:
  // `trials`: how many will be appended, at most. Most have as many rows as the first, so columns need not grow and be copied.
  explicit LongTable(std::size_t trials) : trials_(trials) {
    table_.columns.push_back({"trial", Integers{}, "", "row in /trials"});
  }

  void append(std::size_t trial, const Table& part) {
    const std::size_t added = part.columns.empty() ? 0 : size_of(part.columns[0]);
    if (added == 0) return;
    if (rows_ == 0) expected_ = std::min(added * trials_, kMostExpected);
    for (const Column& column : part.columns) append(column, trial);
    auto& trials = std::get<Integers>(table_.columns[0].values);
    trials.insert(trials.end(), added, static_cast<std::int64_t>(trial));
    rows_ += added;
    for (Column& column : table_.columns) fill(column, rows_);
  }
  Table take() { return std::move(table_); }

  // The trials in which columns were met first, from which describe() can take what is said of them.
  const std::set<std::size_t>& first_trials() const { return first_; }
  void describe(const Table& part) {
    for (Column& column : table_.columns) {
      const Column* said = find_column(part, column.name);
      if (said == nullptr || !column.description.empty() || !column.unit.empty() || !column.mode.empty()) continue;
      column.unit = said->unit;
      column.description = said->description;
      column.mode = said->mode;
    }
  }

 private:
  static void fill(Column& column, std::size_t rows) {
    if (size_of(column) == rows) return;
    make_real(column);
    if (auto* texts = std::get_if<Strings>(&column.values)) {
      texts->resize(rows);
    } else {
      std::get<Reals>(column.values).resize(rows, kAbsentNumber);
    }
  }

  void append(const Column& more, std::size_t trial) {
    if (more.name == "trial") return;  // a name this table needs for itself
    auto found = std::find_if(table_.columns.begin(), table_.columns.end(),
                              [&](const Column& c) { return c.name == more.name; });
    if (found == table_.columns.end()) {
      Column empty{more.name, {}, more.unit, more.description, more.mode};
      std::visit(
          [&](const auto& values) {
            std::decay_t<decltype(values)> room;
            room.reserve(expected_);
            empty.values = std::move(room);
          },
          more.values);
      table_.columns.push_back(std::move(empty));
      found = table_.columns.end() - 1;
      fill(*found, rows_);
      first_.insert(trial);
    }
    if (found->values.index() == more.values.index()) return add_values(*found, more);
    Column next = more;
    make_real(*found);
    make_real(next);
    // Else text here and numbers there: filled up with nothing.
    if (found->values.index() == next.values.index()) add_values(*found, next);
  }

  static void add_values(Column& to, const Column& from) {
    std::visit(
        [&](auto& values) {
          const auto& more = std::get<std::decay_t<decltype(values)>>(from.values);
          values.insert(values.end(), more.begin(), more.end());
        },
        to.values);
  }

  static constexpr std::size_t kMostExpected = std::size_t{1} << 24;
  Table table_;
  std::size_t trials_, expected_ = 0, rows_ = 0;
  std::set<std::size_t> first_;
};

std::string setting_of(const TrialResult& trial, const std::string& key) {
  return trial.spec.settings.has(key) ? trial.spec.settings.text(key) : "";
}

void split_settings(const std::vector<TrialResult>& trials, Survey& survey, std::vector<std::string>& varying) {
  std::vector<const Settings*> distinct;  // replicates stand one after the other
  for (const TrialResult& trial : trials) {
    if (distinct.empty() || !(trial.spec.settings == *distinct.back())) distinct.push_back(&trial.spec.settings);
  }
  std::set<std::string> keys;
  for (const Settings* each : distinct) {
    const Settings& settings = *each;
    const bool known = settings.size() == keys.size() &&
                       std::ranges::all_of(keys, [&](const std::string& key) { return settings.has(key); });
    if (known) continue;  // as of nearly all trials, and making a list of them takes longer
    for (const auto& [key, value] : settings.values()) keys.insert(key);
  }
  for (const auto& key : keys) {
    const std::string first = setting_of(trials.front(), key);
    const bool same = std::ranges::all_of(distinct, [&](const Settings* settings) {
      const std::string* value = settings->find(key);
      return value != nullptr && *value == first;
    });
    if (same) survey.settings[key] = first;
    if (!same || std::find(std::begin(kAlwaysColumns), std::end(kAlwaysColumns), key) != std::end(kAlwaysColumns)) {
      varying.push_back(key);
    }
  }
}

// Numbers, so that a reader can compare them, if all that is there are numbers.
Column setting_column(const std::string& key, Strings texts) {
  Reals numbers;
  for (const std::string& text : texts) {
    double number = kAbsentNumber;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
    if (!text.empty() && (read.ec != std::errc() || read.ptr != text.data() + text.size())) break;
    numbers.push_back(number);
  }
  const bool any = std::ranges::any_of(texts, [](const std::string& text) { return !text.empty(); });
  if (any && numbers.size() == texts.size()) return {key, std::move(numbers), "", kSettingColumn};
  return {key, std::move(texts), "", kSettingColumn};
}

Table trial_table(const std::vector<TrialResult>& trials, const std::vector<TrialHeader>& headers,
                  const std::vector<std::string>& varying) {
  Table table;
  const auto texts = [&](const std::string& name, auto&& value) {
    Strings column;
    for (std::size_t i = 0; i < trials.size(); ++i) column.push_back(value(i));
    table.columns.push_back({name, std::move(column)});
  };
  texts("name", [&](std::size_t i) { return headers[i].name; });
  texts("id", [&](std::size_t i) { return headers[i].id; });
  Integers replicates;
  for (const auto& header : headers) replicates.push_back(header.replicate);
  table.columns.push_back({"replicate", std::move(replicates)});
  texts("state", [&](std::size_t i) { return std::string(name_of(headers[i].outcome)); });
  texts("reason", [&](std::size_t i) { return headers[i].reason; });
  texts("created", [&](std::size_t i) { return headers[i].created; });
  texts("content_digest", [&](std::size_t i) { return headers[i].content_digest; });
  std::set<std::string> names;  // of summary values
  for (const TrialResult& trial : trials) {
    for (const auto& [name, value] : trial.summary) names.insert(name);
  }
  for (const auto& key : varying) {
    Strings column;
    for (const TrialResult& trial : trials) column.push_back(setting_of(trial, key));
    table.columns.push_back(setting_column((names.contains(key) ? kSettingPrefix : "") + key, std::move(column)));
  }

  const auto facts = [&](const std::string& group, std::map<std::string, std::string> TrialResult::*of) {
    std::set<std::string> entries;
    for (const TrialResult& trial : trials) {
      for (const auto& [name, value] : trial.*of) {
        if (is_in_survey(name)) entries.insert(name);
      }
    }
    for (const auto& name : entries) {
      texts(group + "." + name, [&](std::size_t i) {
        const auto found = (trials[i].*of).find(name);
        return found == (trials[i].*of).end() ? std::string() : found->second;
      });
    }
  };
  facts("provenance", &TrialResult::provenance);
  facts("provenance.lineage", &TrialResult::lineage);

  const auto add = [&](const std::string& name, const std::string& unit, const std::string& meaning) {
    Reals column;
    for (const TrialResult& trial : trials) {
      const auto found = trial.summary.find(name);
      column.push_back(found == trial.summary.end() ? kAbsentNumber : found->second);
    }
    table.columns.push_back({name, std::move(column), unit, meaning});
    names.erase(name);
  };
  for (const SummaryField& field : summary_fields()) {
    if (names.contains(field.name)) add(field.name, field.unit, field.meaning);
  }
  while (!names.empty()) add(std::string(*names.begin()), "", "");
  return table;
}

}  // namespace

Survey gather_survey(Files& files, const std::filesystem::path& out) {
  check_output_directory(files, out);
  const Layout layout(out);
  Survey survey;
  std::vector<TrialResult> trials;
  std::vector<TrialHeader> headers;
  std::set<std::string> unreadable;
  auto names = published_trials(files, out);
  std::vector<std::filesystem::path> paths;
  for (const auto& name : names) paths.push_back(layout.trial(name));
  for (const auto& name : stopped_trials(files, out)) {
    if (files.exists(layout.failure(name))) continue;  // it went on, and failed
    names.push_back(name);
    paths.push_back(layout.stopped(name));
  }
  LongTable epochs(paths.size()), layers(paths.size());
  const auto skip = [&](std::size_t i, const Error& error) {
    if (!is_unreadable(error)) throw error;
    if (paths[i] == layout.stopped(names[i]) && !files.exists(paths[i])) return;  // it went on meanwhile
    survey.missing.push_back({names[i], "damaged", error.what(), ""});
    unreadable.insert(names[i]);
  };
  const auto take = [&](std::size_t i, ReadTrial read) {
    try {
      check_owner(paths[i], read.header.name);
    } catch (const Error& error) {
      return skip(i, error);
    }
    epochs.append(trials.size(), read.result.epochs);
    layers.append(trials.size(), read.result.layers);
    read.result.epochs = read.result.layers = {};
    read.result.spec.identity = {};  // nothing of a survey
    trials.push_back(std::move(read.result));
    headers.push_back(std::move(read.header));
  };
  read_trials(files, paths, take, skip);
  std::set<std::size_t> first = epochs.first_trials();
  first.insert(layers.first_trials().begin(), layers.first_trials().end());
  // A file may be damaged where its record is not; another trial says the same of a column.
  constexpr std::size_t kMostTries = 8;
  for (const std::size_t trial : first) {
    for (std::size_t at = trial; at < std::min(trials.size(), trial + kMostTries); ++at) {
      try {
        const std::string& name = headers[at].name;
        const bool stopped = headers[at].outcome == Outcome::Stopped;
        const TrialResult whole = read_trial(files, stopped ? layout.stopped(name) : layout.trial(name));
        epochs.describe(whole.epochs);
        layers.describe(whole.layers);
        break;
      } catch (const Error& error) {
        if (!is_unreadable(error)) throw;
      }
    }
  }
  survey.epochs = epochs.take();
  survey.layers = layers.take();
  std::vector<std::string> varying;
  if (!trials.empty()) split_settings(trials, survey, varying);
  survey.trials = trial_table(trials, headers, varying);

  const SweepStatus status = read_status(files, out, unix_now());
  survey.planned = status.planned;
  const auto add = [&](const std::string& name, const char* state, const std::string& reason,
                       const std::string& settings) {
    if (!unreadable.contains(name)) survey.missing.push_back({name, state, reason, settings});
  };
  for (const auto& failed : status.failed) add(failed.name, "failed", failed.reason, "");
  for (const auto& running : status.running) add(running.name, "running", "", running.label);
  std::set<std::string> there;  // a trial that goes on after a stop is both
  for (const TrialHeader& header : headers) there.insert(header.name);
  for (const auto& missing : status.missing) add(missing.name, "missing", "", missing.canonical);
  std::erase_if(survey.missing, [&](const MissingTrial& trial) { return there.contains(trial.name); });
  std::map<std::string, std::string> planned;
  for (auto& trial : read_plan(files, out)) planned[trial.name] = std::move(trial.canonical);
  for (auto& missing : survey.missing) {
    if (const auto found = planned.find(missing.name); found != planned.end()) missing.settings = found->second;
  }
  return survey;
}

std::string setting_of(const Column& column) {
  const std::string_view name = column.name, prefix = kSettingPrefix;
  return std::string(name.starts_with(prefix) ? name.substr(prefix.size()) : name);
}

std::string cell_text(const Table& table, const std::string& column, std::size_t row) {
  for (const Column& candidate : table.columns) {
    if (candidate.name != column) continue;
    if (const auto* texts = std::get_if<Strings>(&candidate.values)) return (*texts)[row];
    if (const auto* integers = std::get_if<Integers>(&candidate.values)) return std::to_string((*integers)[row]);
    const double value = std::get<Reals>(candidate.values)[row];
    return std::isnan(value) ? "" : fmt::format("{}", value);
  }
  return "";
}

}  // namespace winnow
