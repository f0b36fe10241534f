#include "experiments/report/comparison.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <tuple>

#include "core/error.h"
#include "experiments/catalog.h"
#include "experiments/report/notes.h"
#include "experiments/report/trial_filter.h"
#include "experiments/report/trial_reader.h"
#include "experiments/results/container.h"
#include "experiments/results/plan_file.h"
#include "experiments/results/summary.h"
#include "experiments/sweep/catalog_keys.h"
#include "experiments/sweep/entries.h"
#include "experiments/sweep/sweep.h"

namespace winnow {
namespace {

constexpr const char* kAccuracy = "final.test_acc";
constexpr const char* kBest = "best.test_acc";

// A method that takes part by `with` brings all its settings; those at their default say nothing.
bool is_default_of_part(const std::string& key, const std::string& value) {
  const std::string prefix = std::string(kWith) + ".";
  if (!key.starts_with(prefix)) return false;
  const std::size_t dot = key.find('.', prefix.size());
  if (dot == std::string::npos) return false;
  const std::string part = key.substr(prefix.size(), dot - prefix.size()), leaf = key.substr(dot + 1);
  for (const Component& method : catalog().methods) {
    if (method.name != part) continue;
    const auto setting = std::ranges::find(method.schema, leaf, &Setting::key);
    return setting != method.schema.end() && setting->fallback == value;
  }
  return false;
}

// "alpha=0.3", "with interspace", "interspace.sharing=coarse".
std::string setting_text(const std::string& key, const std::string& value) {
  std::string name = key.starts_with("method.") ? key.substr(7) : key;
  if (!name.starts_with("with.")) return name + "=" + value;
  name = name.substr(5);
  return name.find('.') == std::string::npos && value == "on" ? "with " + name : name + "=" + value;
}

// Those keys of `settings` that differ among `all`, as "key=value, key=value".
std::string varying_text(const Texts& settings, const std::vector<const Texts*>& all) {
  std::string text;
  for (const auto& [key, value] : settings) {
    const bool varies = std::ranges::any_of(all, [&, &k = key, &v = value](const Texts* other) {
      const auto found = other->find(k);
      return found == other->end() ? !v.empty() : found->second != v;
    });
    if (!varies || value.empty() || is_default_of_part(key, value)) continue;
    text += (text.empty() ? "" : ", ") + setting_text(key, value);
  }
  return text;
}

Texts data_settings(const Texts& recipe) {
  Texts settings;
  for (const auto& [key, value] : recipe) {
    if (key.starts_with("data.")) settings.emplace(key, value);
  }
  return settings;
}

std::vector<double> values_of(const Trials& trials, const std::string& name) {
  std::vector<double> values;
  for (const ReportTrial* trial : trials) {
    const auto found = trial->summary.find(name);
    if (found != trial->summary.end()) values.push_back(found->second);
  }
  return values;
}

ComparisonRow row_of(const Trials& trials, const Trials& method_trials) {
  ComparisonRow row;
  row.method = trials.front()->method;
  row.density = trials.front()->density;
  std::vector<const Texts*> rests;
  for (const ReportTrial* trial : method_trials) rests.push_back(&trial->rest);
  row.settings = varying_text(trials.front()->rest, rests);
  Trials done;
  row.id = trials.front()->id;
  std::set<std::string> names;
  for (const ReportTrial* trial : trials) {
    if (trial->state != name_of(Outcome::Done)) {
      ++row.diverged;
      continue;
    }
    done.push_back(trial);
    row.replicates.push_back(trial->replicate);
    for (const auto& [name, value] : trial->summary) names.insert(name);
  }
  row.test_acc = describe(values_of(done, kAccuracy));
  row.best_acc = describe(values_of(done, kBest));
  for (const auto& name : names) row.means[name] = describe(values_of(done, name)).mean;
  if (row.density.empty() && row.means.contains("density")) row.density = fmt::format("{:.4g}", row.means["density"]);
  return row;
}

bool is_stopped(const ReportTrial* trial) { return trial->state == name_of(Outcome::Stopped); }

StoppedConfiguration stopped_of(const std::string& title, const Trials& trials, const Trials& method_trials) {
  const ComparisonRow row = row_of(trials, method_trials);
  StoppedConfiguration stopped{.label = title + ", " + row.label(), .id = row.id, .by_epoch = {}};
  for (const ReportTrial* trial : trials) {
    const auto epoch = trial->summary.find("stopped.epoch");
    if (is_stopped(trial)) {
      ++stopped.by_epoch[epoch == trial->summary.end() ? 0 : epoch->second];
    } else {
      ++(trial->state == name_of(Outcome::Done) ? stopped.finished : stopped.diverged);
    }
  }
  return stopped;
}

std::map<std::int64_t, double> accuracy_by_replicate(const Trials& trials) {
  std::map<std::int64_t, double> values;
  for (const ReportTrial* trial : trials) {
    const auto found = trial->summary.find(kAccuracy);
    if (trial->state == name_of(Outcome::Done) && found != trial->summary.end())
      values[trial->replicate] = found->second;
  }
  return values;
}

// Differences by replicate take the noise that both share out of the comparison: the data order
// with `pair: data_order`, the initial weights too with `pair: all`. Without either they are as valid, but no narrower.
void set_gap(ComparisonRow& row, const Trials& trials, const Trials& dense) {
  const auto ours = accuracy_by_replicate(trials), theirs = accuracy_by_replicate(dense);
  if (ours.empty() || theirs.empty()) return;
  std::vector<double> differences;
  for (const auto& [replicate, value] : ours) {
    const auto partner = theirs.find(replicate);
    if (partner == theirs.end()) {
      row.alone.push_back(replicate);
    } else {
      differences.push_back(value - partner->second);
    }
  }
  row.paired = !differences.empty();
  if (row.paired) {
    row.gap = describe(differences);
    return;
  }
  row.gap = Sample{};
  row.gap->mean = row.test_acc.mean - describe(values_of(dense, kAccuracy)).mean;
}

// The dense trials whose other settings (initialisation, ...) agree with the row's, or all if there is one kind; none that
// began with other weights than the row's start file.
Trials baseline_of(const ReportTrial& trial, const TrialRows& rows) {
  std::vector<const Trials*> dense;
  for (const auto& [key, trials] : rows) {
    const std::string& start = trials.front()->start;
    if (!start.empty() && !trial.start.empty() && start != trial.start) continue;
    if (trials.front()->method == "dense") dense.push_back(&trials);
  }
  if (dense.size() == 1) return *dense[0];
  for (const auto* candidate : dense) {
    const auto& rest = candidate->front()->rest;
    const bool same = std::all_of(rest.begin(), rest.end(), [&](const auto& entry) {
      const auto found = trial.rest.find(entry.first);
      // What the sweep calls a trial is no setting of the experiment.
      return entry.first.starts_with("method.") || entry.first == "label" ||
             (found != trial.rest.end() && found->second == entry.second);
    });
    if (same) return *candidate;
  }
  return {};
}

// Whether a plan, which holds what a trial's identity is made of, says what the rule asks for.
bool is_in_plan(const std::string& rule, const Catalog& catalog) {
  const std::string key = rule.substr(0, rule.find('='));
  return in_identity(key) && std::ranges::none_of(settings_named(catalog, key), [](const Setting* setting) {
           return setting->kind == Setting::Kind::Path || setting->kind == Setting::Kind::Trial;
         });
}

bool before(const ComparisonRow& a, const ComparisonRow& b) {
  const auto rank = [](const ComparisonRow& row) { return row.method != "dense"; };
  if (rank(a) != rank(b)) return rank(a) < rank(b);
  if (a.method != b.method) return a.method < b.method;
  if (number_of(a.density) != number_of(b.density)) return number_of(a.density) > number_of(b.density);
  return a.settings < b.settings;
}

}  // namespace

std::string ComparisonRow::label() const {
  return method + (density.empty() ? "" : " " + density) + (settings.empty() ? "" : " (" + settings + ")");
}

Comparison compare(const Survey& survey, const std::vector<std::string>& only) {
  Comparison comparison;
  comparison.only = only;
  comparison.planned = survey.planned;
  comparison.missing = survey.missing;
  const std::vector<ReportTrial> trials = read_trials(survey);
  std::set<const ReportTrial*> left_out;
  if (!only.empty()) {
    const Catalog all = with_sweep_settings(catalog());
    TrialFilter filter(only, all);
    for (std::size_t row = 0; row < trials.size(); ++row) {
      if (filter.keeps(settings_in(survey, row))) continue;
      left_out.insert(&trials[row]);
      --comparison.planned;
    }
    std::vector<std::string> planned;
    std::ranges::copy_if(only, std::back_inserter(planned), [&](const auto& rule) { return is_in_plan(rule, all); });
    TrialFilter of_plan(planned, all);
    comparison.planned -= std::erase_if(comparison.missing, [&](const MissingTrial& trial) {
      // What a damaged result holds nobody knows.
      return !trial.settings.empty() && !of_plan.keeps(settings_of_plan(trial.settings));
    });
  }
  const auto is_chosen = [&](const ReportTrial* trial) { return !left_out.contains(trial); };

  // What was trained; by name first, so that tables of one model and data set stand together.
  using Subject = std::pair<std::string, std::string>;
  struct GroupKey {
    Subject subject;
    Texts recipe;
    std::string digest;
    bool operator<(const GroupKey& other) const {
      return std::tie(subject, recipe, digest) < std::tie(other.subject, other.recipe, other.digest);
    }
  };
  std::map<GroupKey, TrialRows> groups;
  // By name and settings of the data: what these do not tell apart.
  std::map<std::pair<std::string, Texts>, std::set<std::string>> digests;
  for (const ReportTrial& trial : trials) {
    if (!is_chosen(&trial) && trial.method != "dense") continue;
    groups[{{trial.model, trial.data}, trial.recipe, trial.digest}][{trial.rest, trial.method, trial.density, trial.id}]
        .push_back(&trial);
    digests[{trial.data, data_settings(trial.recipe)}].insert(trial.digest);
    if (!is_chosen(&trial)) continue;
    if (trial.state == name_of(Outcome::Done)) {
      ++comparison.done;
    } else if (trial.state == name_of(Outcome::Stopped)) {
      if (std::ranges::find(comparison.rules, trial.reason) == comparison.rules.end()) {
        comparison.rules.push_back(trial.reason);
      }
    } else {
      comparison.diverged.push_back(
          {trial.name, trial.state, trial.reason, trial.model + "/" + trial.method + "/" + trial.density});
    }
  }

  std::ranges::sort(comparison.rules);

  for (auto& [key, rows] : groups) {
    ComparisonGroup group;
    std::vector<const Texts*> recipes;
    for (const auto& [other, unused] : groups) {
      if (other.subject == key.subject) recipes.push_back(&other.recipe);
    }
    const auto& [model, data] = key.subject;
    group.title = model + " on " + data;
    if (digests[{data, data_settings(key.recipe)}].size() > 1) {
      const std::string digest = key.digest.empty() ? "unknown" : key.digest.substr(0, 8);
      group.title += " (data " + digest + ")";
      group.notes.push_back(fmt::format("different data go by the name {}; those of this table have digest {}", data,
                                        key.digest.empty() ? "unknown" : key.digest));
    }
    const std::string recipe = varying_text(key.recipe, recipes);
    if (!recipe.empty()) group.title += ", " + recipe;
    std::map<std::string, Trials> by_method;
    for (const auto& [unused, members] : rows) {
      auto& all = by_method[members.front()->method];
      all.insert(all.end(), members.begin(), members.end());
    }
    for (auto row = rows.begin(); row != rows.end();) {
      if (std::ranges::none_of(row->second, &is_stopped)) {
        ++row;
        continue;
      }
      Trials chosen;
      std::ranges::copy_if(row->second, std::back_inserter(chosen), is_chosen);
      if (!chosen.empty()) {
        comparison.stopped.push_back(stopped_of(group.title, chosen, by_method[chosen.front()->method]));
      }
      row = rows.erase(row);
    }
    std::set<std::string> only_baseline;  // ids
    for (const auto& [unused, members] : rows) {
      Trials chosen;
      std::ranges::copy_if(members, std::back_inserter(chosen), is_chosen);
      if (chosen.empty()) only_baseline.insert(members.front()->id);
      const Trials& shown = chosen.empty() ? members : chosen;
      ComparisonRow row = row_of(shown, by_method[shown.front()->method]);
      if (row.method != "dense") set_gap(row, shown, baseline_of(*shown.front(), rows));
      group.rows.push_back(std::move(row));
    }
    std::ranges::stable_sort(group.rows, before);
    add_notes(rows, group);
    std::erase_if(group.rows, [&](const ComparisonRow& row) { return only_baseline.contains(row.id); });
    if (!group.rows.empty()) comparison.groups.push_back(std::move(group));
  }
  return comparison;
}

}  // namespace winnow
