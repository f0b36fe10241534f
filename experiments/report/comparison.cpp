#include "experiments/report/comparison.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <tuple>

#include "core/error.h"
#include "experiments/results/container.h"
#include "experiments/results/summary.h"

namespace winnow {
namespace {

constexpr const char* kAccuracy = "final.test_acc";
constexpr const char* kBest = "best.test_acc";

// Settings that say what is trained and how; what is left describes the method.
bool is_recipe(const std::string& key) {
  return key.starts_with("data.") || key.starts_with("model.") || key.starts_with("train.");
}

double number_of(const std::string& text) {
  double value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  return parsed.ec == std::errc() ? value : 0;
}

struct Trial {
  std::size_t row = 0;
  std::map<std::string, std::string> recipe, rest;  // varying settings, without names and density
  std::string model, data, method, id, state;
  std::string density;    // as set; empty if the method has no such setting
  std::string precision;  // that training computed in; `auto` depends on the processor
  std::int64_t replicate = 0;
  std::map<std::string, double> summary;
};

class Reader {
 public:
  explicit Reader(const Survey& survey) : survey_(survey) {
    const std::set<std::string> own = {"name", "id", "replicate", "state", "reason", "created", "content_digest"};
    for (const Column& column : survey.trials.columns) {
      if (const auto* values = std::get_if<std::vector<double>>(&column.values)) {
        numbers_.emplace_back(column.name, values);
      } else if (!own.contains(column.name) && !column.name.starts_with("provenance.")) {
        settings_.push_back(column.name);
      }
    }
  }

  Trial operator()(std::size_t row) const {
    Trial trial;
    trial.row = row;
    trial.id = cell_text(survey_.trials, "id", row);
    trial.state = cell_text(survey_.trials, "state", row);
    trial.precision = cell_text(survey_.trials, "provenance.precision", row);
    trial.replicate = static_cast<std::int64_t>(number_of(cell_text(survey_.trials, "replicate", row)));
    trial.model = setting("model.name", row);
    trial.data = setting("data.name", row);
    trial.method = setting("method.name", row);
    trial.density = setting("method.density", row);
    for (const auto& key : settings_) {
      if (key == "model.name" || key == "data.name" || key == "method.name" || key == "method.density") continue;
      if (key.starts_with("save.")) continue;  // no part of the experiment
      (is_recipe(key) ? trial.recipe : trial.rest)[key] = cell_text(survey_.trials, key, row);
    }
    for (const auto& [name, values] : numbers_) {
      if (!std::isnan((*values)[row])) trial.summary[name] = (*values)[row];
    }
    return trial;
  }

 private:
  std::string setting(const std::string& key, std::size_t row) const {
    const std::string here = cell_text(survey_.trials, key, row);
    if (!here.empty()) return here;
    const auto common = survey_.settings.find(key);
    return common == survey_.settings.end() ? "" : common->second;
  }

  const Survey& survey_;
  std::vector<std::string> settings_;
  std::vector<std::pair<std::string, const std::vector<double>*>> numbers_;
};

// Those keys of `settings` that differ among `all`, as "key=value, key=value".
std::string varying_text(const std::map<std::string, std::string>& settings,
                         const std::vector<const std::map<std::string, std::string>*>& all, const std::string& strip) {
  std::string text;
  for (const auto& [key, value] : settings) {
    const bool varies = std::any_of(all.begin(), all.end(), [&, &k = key, &v = value](const auto* other) {
      const auto found = other->find(k);
      return found == other->end() ? !v.empty() : found->second != v;
    });
    if (!varies || value.empty()) continue;
    const std::string name = key.starts_with(strip) ? key.substr(strip.size()) : key;
    text += (text.empty() ? "" : ", ") + name + "=" + value;
  }
  return text;
}

std::vector<double> values_of(const std::vector<const Trial*>& trials, const std::string& name) {
  std::vector<double> values;
  for (const Trial* trial : trials) {
    const auto found = trial->summary.find(name);
    if (found != trial->summary.end()) values.push_back(found->second);
  }
  return values;
}

ComparisonRow row_of(const std::vector<const Trial*>& trials, const std::vector<const Trial*>& method_trials) {
  ComparisonRow row;
  row.method = trials.front()->method;
  row.density = trials.front()->density;
  std::vector<const std::map<std::string, std::string>*> rests;
  for (const Trial* trial : method_trials) rests.push_back(&trial->rest);
  row.settings = varying_text(trials.front()->rest, rests, "method.");
  std::vector<const Trial*> done;
  row.id = trials.front()->id;
  std::set<std::string> names;
  for (const Trial* trial : trials) {
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

std::map<std::int64_t, double> accuracy_by_replicate(const std::vector<const Trial*>& trials) {
  std::map<std::int64_t, double> values;
  for (const Trial* trial : trials) {
    const auto found = trial->summary.find(kAccuracy);
    if (trial->state == name_of(Outcome::Done) && found != trial->summary.end())
      values[trial->replicate] = found->second;
  }
  return values;
}

// Differences by replicate take the noise that both share out of the comparison: the data order
// with `pair: data_order`, the initial weights too with `pair: all`. Without either they are as valid, but no narrower.
void set_gap(ComparisonRow& row, const std::vector<const Trial*>& trials, const std::vector<const Trial*>& dense) {
  const auto ours = accuracy_by_replicate(trials), theirs = accuracy_by_replicate(dense);
  if (ours.empty() || theirs.empty()) return;
  std::vector<double> differences;
  for (const auto& [replicate, value] : ours) {
    const auto partner = theirs.find(replicate);
    if (partner != theirs.end()) differences.push_back(value - partner->second);
  }
  row.paired = !differences.empty();
  if (row.paired) {
    row.gap = describe(differences);
    return;
  }
  row.gap = Sample{};
  row.gap->mean = row.test_acc.mean - describe(values_of(dense, kAccuracy)).mean;
}

// Other settings, method and density, and the id: two versions of a method are two experiments,
// though their settings read alike.
struct RowKey {
  std::map<std::string, std::string> rest;
  std::string method, density, id;
  friend bool operator<(const RowKey& a, const RowKey& b) {
    return std::tie(a.rest, a.method, a.density, a.id) < std::tie(b.rest, b.method, b.density, b.id);
  }
};

// The dense trials whose other settings (initialisation, ...) agree with the row's, or all if there is one kind.
std::vector<const Trial*> baseline_of(const Trial& trial, const std::map<RowKey, std::vector<const Trial*>>& rows) {
  std::vector<const std::vector<const Trial*>*> dense;
  for (const auto& [key, trials] : rows) {
    if (trials.front()->method == "dense") dense.push_back(&trials);
  }
  if (dense.size() == 1) return *dense[0];
  for (const auto* candidate : dense) {
    const auto& rest = candidate->front()->rest;
    const bool same = std::all_of(rest.begin(), rest.end(), [&](const auto& entry) {
      const auto found = trial.rest.find(entry.first);
      return entry.first.starts_with("method.") || (found != trial.rest.end() && found->second == entry.second);
    });
    if (same) return *candidate;
  }
  return {};
}

// A table is of one kind of arithmetic and of one version of each method, or says so.
std::vector<std::string> notes_of(const std::map<RowKey, std::vector<const Trial*>>& rows) {
  std::vector<std::string> notes;
  std::map<std::string, int> counts;
  std::set<std::string> versions;  // methods with rows that differ in their id alone
  const RowKey* last = nullptr;
  for (const auto& [key, trials] : rows) {
    for (const Trial* trial : trials) ++counts[trial->precision];
    if (last != nullptr &&
        std::tie(last->rest, last->method, last->density) == std::tie(key.rest, key.method, key.density)) {
      versions.insert(key.method);
    }
    last = &key;
  }
  if (counts.size() > 1) {
    std::string text = "trained in different precisions:";
    for (const auto& [precision, count] : counts)
      text += fmt::format(" {} {}", count, precision.empty() ? "unknown" : precision);
    notes.push_back(text);
  }
  if (!versions.empty()) {
    notes.push_back(
        fmt::format("rows of {} that read alike differ in their id: another version of the method, model or "
                    "data set",
                    fmt::join(versions, ", ")));
  }
  return notes;
}

bool before(const ComparisonRow& a, const ComparisonRow& b) {
  const auto rank = [](const ComparisonRow& row) { return row.method != "dense"; };
  if (rank(a) != rank(b)) return rank(a) < rank(b);
  if (a.method != b.method) return a.method < b.method;
  if (number_of(a.density) != number_of(b.density)) return number_of(a.density) > number_of(b.density);
  return a.settings < b.settings;
}

}  // namespace

Comparison compare(const Survey& survey) {
  Comparison comparison;
  comparison.planned = survey.planned;
  comparison.missing = survey.missing;
  const Reader read(survey);
  std::vector<Trial> trials;
  for (std::size_t row = 0; row < rows_of(survey.trials); ++row) trials.push_back(read(row));

  using GroupKey = std::pair<std::pair<std::string, std::string>, std::map<std::string, std::string>>;
  std::map<GroupKey, std::map<RowKey, std::vector<const Trial*>>> groups;
  for (const Trial& trial : trials) {
    groups[{{trial.model, trial.data}, trial.recipe}][{trial.rest, trial.method, trial.density, trial.id}].push_back(
        &trial);
    if (trial.state == name_of(Outcome::Done)) {
      ++comparison.done;
    } else {
      comparison.diverged.push_back({cell_text(survey.trials, "name", trial.row), trial.state,
                                     cell_text(survey.trials, "reason", trial.row),
                                     trial.model + "/" + trial.method + "/" + trial.density});
    }
  }

  for (const auto& [key, rows] : groups) {
    ComparisonGroup group;
    std::vector<const std::map<std::string, std::string>*> recipes;
    for (const auto& [other, unused] : groups) {
      if (other.first == key.first) recipes.push_back(&other.second);
    }
    group.title = key.first.first + " on " + key.first.second;
    const std::string recipe = varying_text(key.second, recipes, "");
    if (!recipe.empty()) group.title += ", " + recipe;
    std::map<std::string, std::vector<const Trial*>> by_method;
    for (const auto& [unused, members] : rows) {
      auto& all = by_method[members.front()->method];
      all.insert(all.end(), members.begin(), members.end());
    }
    for (const auto& [unused, members] : rows) {
      ComparisonRow row = row_of(members, by_method[members.front()->method]);
      if (row.method != "dense") set_gap(row, members, baseline_of(*members.front(), rows));
      group.rows.push_back(std::move(row));
    }
    std::stable_sort(group.rows.begin(), group.rows.end(), before);
    group.notes = notes_of(rows);
    comparison.groups.push_back(std::move(group));
  }
  return comparison;
}

}  // namespace winnow
