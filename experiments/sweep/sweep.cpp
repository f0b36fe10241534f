#include "experiments/sweep/sweep.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "experiments/sweep/axes.h"
#include "experiments/sweep/document.h"
#include "experiments/sweep/identity.h"
#include "experiments/sweep/resolver.h"
#include "experiments/sweep/rule.h"

namespace winnow {
namespace {

constexpr const char* kFraction = "data.fraction";

}  // namespace

Catalog with_sweep_settings(Catalog catalog) {
  catalog.trial.push_back({.key = "pair",
                           .kind = Setting::Kind::Choice,
                           .fallback = "none",
                           .choices = {"none", "data_order", "all"},
                           .meaning = "data_order: data order and augmentation follow from data set and "
                                      "replicate alone, so that all methods see the same batches; "
                                      "all: initial weights and dropout too, from data set, model and replicate",
                           .source = "ours: paired comparisons need it"});
  return catalog;
}

namespace {

class Loader {
 public:
  Loader(const std::filesystem::path& path, const Catalog& catalog, const ExpandOptions& options)
      : catalog_(with_sweep_settings(catalog)), options_(options) {
    sweep_.path = path;
    sweep_.smoke = options.smoke;
  }

  Sweep load() {
    Document document = read_document(sweep_.path, problems_);
    sweep_.name = document.name;
    Axes axes = expand_axes(document.axes, problems_);
    apply_arguments(document, axes);
    read_rules(document);
    sweep_.notes.insert(sweep_.notes.end(), axes.notes.begin(), axes.notes.end());
    expand(document, axes);
    problems_.throw_if_any();
    finish();
    sweep_.text = problems_.files_text();
    return std::move(sweep_);
  }

 private:
  struct CountedRule {
    Rule rule;
    bool keeps;  // --only: what does not match is left out
    LeftOut left_out;
  };

  // "key=value" as a map of one entry.
  NodePtr parse_argument(const std::string& option, const std::string& argument) {
    const std::size_t equals = argument.find('=');
    if (equals == 0 || equals == std::string::npos || equals + 1 == argument.size()) {
      fail(ErrorKind::Usage, "{} needs key=value, got '{}'", option, argument);
    }
    const int source = problems_.add_argument(option + " " + argument);
    const NodePtr value = parse_tree(argument.substr(equals + 1), source, problems_);
    if (!value) return nullptr;
    auto map = std::make_shared<YamlNode>();
    map->kind = YamlNode::Kind::Map;
    map->place = {source, 1, 1, 1};
    map->members.push_back({argument.substr(0, equals), map->place, value});
    return map;
  }

  void apply_arguments(Document& document, Axes& axes) {
    std::vector<Entry> replacing;
    std::map<std::string, std::vector<Entry>> new_axes;  // by key
    const auto replace = [&](std::vector<Entry> entries) {
      for (const Entry& entry : entries) new_axes.erase(entry.key);
      merge_entries(replacing, std::move(entries));
    };
    for (const std::string& argument : options_.set) {
      const NodePtr map = parse_argument("--set", argument);
      if (!map) continue;
      std::vector<Entry> values = axis_values(map->members.front());
      if (values.empty()) {
        replace(flatten(*map, "", problems_));
      } else {
        replace({values.front()});
        new_axes[values.front().key] = std::move(values);
      }
    }
    if (options_.smoke) {
      smoke_place_ = {problems_.add_argument("--smoke"), 1, 1, 1};
      replace({{"train.epochs", "2", smoke_place_, smoke_place_}});
      if (!settings_named(catalog_, kFraction).empty()) {
        replace({{kFraction, "0.01", smoke_place_, smoke_place_}});
      }
    }
    for (const Entry& entry : replacing) {
      if (std::count(axes.case_keys.begin(), axes.case_keys.end(), entry.key) != 0) {
        problems_.error(entry.key_place,
                        fmt::format("the cases of the file choose '{}'; use --only to pick some", entry.key));
      }
      for (Point& point : axes.points) {
        std::erase_if(point.entries, [&](const Entry* given) { return given->key == entry.key; });
      }
    }
    if (!replacing.empty()) unite_equal_points(axes);
    merge_entries(document.settings, std::move(replacing));
    for (const auto& [key, values] : new_axes) add_axis(axes, values, problems_);
  }

  // Points that differed only in a replaced axis are one.
  static void unite_equal_points(Axes& axes) {
    std::set<std::tuple<std::vector<const Entry*>, std::vector<int>, std::optional<std::int64_t>>> seen;
    std::erase_if(axes.points, [&](const Point& p) { return !seen.emplace(p.entries, p.cases, p.replicate).second; });
  }

  // The values of `--set key=[a, b]` where the setting itself is no list; else none.
  std::vector<Entry> axis_values(const Member& member) {
    std::vector<Entry> values;
    const auto settings = settings_named(catalog_, member.key);
    const bool one_value = std::ranges::none_of(settings, [](const Setting* s) {
      using Kind = Setting::Kind;
      return s->kind == Kind::IntList || s->kind == Kind::RealList || s->kind == Kind::TextList ||
             s->kind == Kind::LengthList;
    });
    if (settings.empty() || !one_value) return values;
    for (const NodePtr& item : member.value->items) {
      if (auto text = value_text(*item, member.key, problems_))
        values.push_back({member.key, std::move(*text), member.place, member.place});
    }
    return values;
  }

  void read_rules(const Document& document) {
    for (const std::string& argument : options_.only) {
      const NodePtr map = parse_argument("--only", argument);
      auto rule = map ? Rule::read(*map, catalog_, problems_) : std::nullopt;
      if (rule) rules_.push_back({std::move(*rule), true, {"--only " + argument, "", 0}});
    }
    if (!document.exclude) return;
    for (std::size_t i = 0; i < document.exclude->items.size(); ++i) {
      auto rule = Rule::read(*document.exclude->items[i], catalog_, problems_);
      if (!rule) continue;
      const std::string where = problems_.where(rule->place());
      rules_.push_back({std::move(*rule), false, {fmt::format("exclude[{}]", i), where, 0}});
    }
  }

  bool left_out(const TrialSpec& spec) {
    for (CountedRule& rule : rules_) {
      if (rule.rule.matches(spec) == rule.keeps) continue;
      ++rule.left_out.count;
      return true;
    }
    return false;
  }

  // Some texts begin with the very setting to mend: "method.layer_density: no prunable layer 'x'".
  static SettingProblem closest_key(const SettingProblem& problem, const Settings& trial) {
    const std::size_t colon = problem.text.find(": ");
    if (colon == std::string::npos || !trial.has(problem.text.substr(0, colon))) return problem;
    return {problem.text.substr(0, colon), problem.text.substr(colon + 2)};
  }

  void expand(const Document& document, const Axes& axes) {
    // After a part that could not be read, absence proves nothing.
    const bool damaged = problems_.any();
    TrialResolver resolver(catalog_, document.settings, document.place, options_.content);
    if (options_.smoke) resolver.tolerate_unread(kFraction);
    std::unordered_set<std::string> names;
    std::set<std::vector<int>> smoked;
    for (const Point& point : axes.points) {
      ResolvedTrial trial = resolver.resolve(point);
      if (left_out(trial.spec)) continue;
      if (options_.smoke && !smoked.insert(point.cases).second) continue;
      if (options_.smoke) fit_smoke_data(trial, point, resolver);
      for (FoundProblem& problem : trial.problems) {
        if (!(problem.missing && damaged)) problems_.error(problem.place, problem.text, problem.hint);
      }
      if (!trial.problems.empty()) continue;
      if (options_.check) {
        if (const auto problem = options_.check(trial.spec)) {
          const SettingProblem closest = closest_key(*problem, trial.spec.settings);
          problems_.error(resolver.place_of(point, closest.key), fmt::format("'{}' {}", closest.key, closest.text));
          continue;
        }
      }
      if (trial.spec.ranks > 1 && options_.depends_on_ranks && options_.depends_on_ranks(trial.spec)) {
        add_to_identity(trial.spec, fmt::format("ranks={}", trial.spec.ranks));
      }
      if (!names.insert(trial.spec.name()).second) {
        ++sweep_.duplicates;
        continue;
      }
      if (!problems_.any()) sweep_.trials.push_back(std::move(trial.spec));
    }
    for (const FoundProblem& problem : resolver.unread(damaged)) {
      problems_.error(problem.place, problem.text, problem.hint);
    }
  }

  // The usual share of a small data set may be too little to train on.
  void fit_smoke_data(ResolvedTrial& trial, const Point& point, TrialResolver& resolver) {
    const Settings& settings = trial.spec.settings;
    if (!options_.smoke_fraction || !trial.problems.empty() || !settings.has(kFraction)) return;
    std::string fraction = options_.smoke_fraction(trial.spec);
    if (fraction == settings.text(kFraction)) return;
    Point more = point;
    more.entries.push_back(
        &smoke_entries_.emplace_back(Entry{kFraction, std::move(fraction), smoke_place_, smoke_place_}));
    trial = resolver.resolve(more);
  }

  void finish() {
    if (sweep_.trials.empty()) {
      fail(options_.only.empty() ? ErrorKind::Settings : ErrorKind::Usage,
           "{}: no trial is left after exclude and --only", sweep_.path.string());
    }
    for (CountedRule& rule : rules_) {
      if (rule.left_out.count == 0 && !rule.keeps) {
        sweep_.notes.push_back(fmt::format("{}: {} matches no trial", rule.left_out.where, rule.left_out.rule));
      }
      sweep_.left_out.push_back(std::move(rule.left_out));
    }
    std::unordered_map<std::string_view, std::size_t> counts;
    for (const TrialSpec& spec : sweep_.trials) ++counts[spec.id];
    sweep_.configurations = counts.size();
    for (const auto& [id, count] : counts) sweep_.replicates = std::max(sweep_.replicates, count);
    sweep_.save = sweep_.trials.front().settings.below("save");
  }

  const Catalog catalog_;
  const ExpandOptions& options_;
  Diagnostics problems_;
  Sweep sweep_;
  std::vector<CountedRule> rules_;
  Place smoke_place_;
  std::deque<Entry> smoke_entries_;  // points refer to them
};

}  // namespace

Sweep load_sweep(const std::filesystem::path& path, const Catalog& catalog, const ExpandOptions& options) {
  return Loader(path, catalog, options).load();
}

}  // namespace winnow
