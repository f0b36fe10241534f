#include "experiments/sweep/sweep.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <tuple>

#include "experiments/sweep/argument.h"
#include "experiments/sweep/axes.h"
#include "experiments/sweep/document.h"
#include "experiments/sweep/identity.h"
#include "experiments/sweep/need_links.h"
#include "experiments/sweep/plan_notes.h"
#include "experiments/sweep/resolver.h"
#include "experiments/sweep/rule_book.h"
#include "experiments/sweep/settings_pool.h"
#include "experiments/sweep/trial_list.h"
#include "experiments/text.h"

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
  catalog.trial.push_back({.key = "label",
                           .kind = Setting::Kind::Text,
                           .fallback = "",
                           .meaning =
                               "what other trials of the sweep call this one, as their teacher or ticket; empty: "
                               "the name of its method. No part of its identity",
                           .source = "ours"});
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
    Document document = read_document(sweep_.path, options_.text, problems_);
    sweep_.name = document.name;
    Axes axes = expand_axes(document.axes, problems_);
    apply_arguments(document, axes);
    read_rules(document);
    sweep_.notes.insert(sweep_.notes.end(), axes.notes.begin(), axes.notes.end());
    expand(document, axes);
    refuse_unread_arguments();
    problems_.throw_if_any();
    finish();
    sweep_.text = problems_.files_text();
    return std::move(sweep_);
  }

 private:
  void apply_arguments(Document& document, Axes& axes) {
    std::vector<Entry> replacing;
    std::map<std::string, std::vector<Entry>> new_axes;  // by key
    const auto replace = [&](std::vector<Entry> entries) {
      for (const Entry& entry : entries) new_axes.erase(entry.key);
      merge_entries(replacing, std::move(entries));
    };
    for (const std::string& argument : options_.set) {
      const NodePtr map = parse_argument("--set", argument, problems_);
      if (!map) continue;
      std::vector<Entry> values = axis_values(map->members.front());
      if (values.empty()) {
        replace(flatten(*map, "", problems_));
      } else {
        replace({values.front()});
        argument_axes_[values.front().key] = {values.front().key_place, 0};
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
    const bool one_value = std::ranges::none_of(settings, [](const Setting* s) { return is_list(s->kind); });
    if (settings.empty() || !one_value) return values;
    for (const NodePtr& item : member.value->items) {
      if (auto text = value_text(*item, member.key, problems_))
        values.push_back({member.key, std::move(*text), member.place, member.place});
    }
    return values;
  }

  void read_rules(const Document& document) {
    for (const std::string& argument : options_.only) {
      const NodePtr map = parse_argument("--only", argument, problems_);
      auto rule = map ? Rule::read(*map, catalog_, problems_) : std::nullopt;
      if (rule) add_rule(std::move(*rule), true, {"--only " + argument, "", 0});
    }
    if (!document.exclude) return;
    for (std::size_t i = 0; i < document.exclude->items.size(); ++i) {
      auto rule = Rule::read(*document.exclude->items[i], catalog_, problems_);
      if (!rule) continue;
      const std::string where = problems_.where(rule->place());
      add_rule(std::move(*rule), false, {fmt::format("exclude[{}]", i), where, 0});
    }
  }

  void add_rule(Rule rule, bool keeps, LeftOut left_out) {
    rules_.add(std::move(rule), keeps);
    sweep_.left_out.push_back(std::move(left_out));
  }

  bool left_out(const TrialSpec& spec, const Point& point) {
    const auto rule = rules_.leaving_out(spec);
    if (rule) ++sweep_.left_out[*rule].count;
    if (rule && rules_.keeps(*rule)) kept_back_.push_back(&point);
    return rule.has_value();
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
    std::set<std::vector<int>> smoked;
    for (const Point& point : axes.points) {
      ResolvedTrial trial = resolver.resolve(point);
      if (left_out(trial.spec, point)) continue;
      if (options_.smoke && !smoked.insert(point.cases).second) continue;
      if (options_.smoke) fit_smoke_data(trial, point, resolver);
      for (FoundProblem& problem : trial.problems) {
        if (!(problem.missing && damaged)) problems_.error(problem.place, problem.text, problem.hint);
      }
      count_unread(trial);
      if (trial.problems.empty()) add(trial, point, resolver);
    }
    if (!references_.empty() && !problems_.any()) link(document, resolver);
    for (const FoundProblem& problem : resolver.unread(damaged)) {
      problems_.error(problem.place, problem.text, problem.hint);
    }
  }

  // Trials that need others: finds those, brings in what --only left out, and settles all identities anew.
  void link(const Document& document, TrialResolver& resolver) {
    NeedLinks links(problems_, [&](const TrialSpec& of, const NeedReference& reference) {
      return dense_like(of, reference, document, resolver);
    });
    const auto references = [&](const TrialSpec& spec) {
      const auto known = references_.find(spec.id);
      return known == references_.end() ? std::vector<NeedReference>{} : known->second;
    };
    for (TrialSpec& spec : trials_.take()) {
      std::vector<NeedReference> own = references(spec);
      links.add(std::move(spec), std::move(own), true);
    }
    for (const Point* point : kept_back_) {
      ResolvedTrial trial = resolver.resolve(*point);
      if (options_.smoke) fit_smoke_data(trial, *point, resolver);
      if (!trial.problems.empty() || rules_.excluded(trial.spec)) continue;
      TrialSpec spec = identified(trial.spec);
      note_references(spec, *point, resolver);
      std::vector<NeedReference> own = references(spec);
      links.add(std::move(spec), std::move(own), false);
    }
    for (const auto& [alias, name] : aliases_) links.add_alias(alias, name);
    NeedLinks::Linked linked = links.link();
    std::size_t checked = linked.trials.size() - linked.pulled_in - linked.made;
    for (TrialSpec& spec : linked.trials) {
      const bool is_checked = checked > 0 && checked-- > 0;
      if (const auto problem = options_.check && !is_checked ? options_.check(spec) : std::nullopt) {
        problems_.error(document.place,
                        fmt::format("a trial that another needs: '{}' {}", problem->key, problem->text));
      }
      spec.identity = linked_.pooled(spec.identity);
      if (trials_.add(std::move(spec)) == TrialList::Added::Duplicate) ++sweep_.duplicates;
    }
    if (linked.pulled_in > 0) {
      sweep_.notes.push_back(fmt::format("{} that --only leaves out {}: others need {}",
                                         counted(linked.pulled_in, "trial"), linked.pulled_in == 1 ? "stays" : "stay",
                                         linked.pulled_in == 1 ? "it" : "them"));
    }
    if (linked.made > 0) {
      sweep_.notes.push_back(fmt::format("{} {} added: others need {} and no axis gives {}",
                                         counted(linked.made, "dense trial"), linked.made == 1 ? "is" : "are",
                                         linked.made == 1 ? "it" : "them", linked.made == 1 ? "it" : "them"));
    }
  }

  // The trial `of` with `method.name: dense`.
  std::optional<TrialSpec> dense_like(const TrialSpec& of, const NeedReference& reference, const Document& document,
                                      TrialResolver& resolver) {
    Point point = reference.point;
    point.replicate = of.replicate;
    const auto give = [&](std::string key, std::string text) {
      point.entries.push_back(
          &own_entries_.emplace_back(Entry{std::move(key), std::move(text), reference.place, reference.place}));
    };
    const auto of_method = [](const std::string& key) { return key.starts_with("method.") || key == "label"; };
    std::erase_if(point.entries, [&](const Entry* entry) { return of_method(entry->key); });
    std::erase_if(point.replacing, [&](const Entry* entry) { return of_method(entry->key); });
    give("method.name", "dense");
    give("label", "dense");
    std::set<std::string> with;
    const std::string composed = std::string(kWith) + ".";
    for (const Entry& entry : document.settings) {
      if (!entry.key.starts_with(composed)) continue;
      with.insert(entry.key.substr(0, entry.key.find('.', composed.size())));
    }
    for (const std::string& key : with) give(key, "off");
    ResolvedTrial trial = resolver.resolve(point);
    if (options_.smoke) fit_smoke_data(trial, point, resolver);
    for (const FoundProblem& problem : trial.problems) problems_.error(reference.place, problem.text, problem.hint);
    if (!trial.problems.empty()) return std::nullopt;
    TrialSpec spec = identified(trial.spec);
    if (rules_.excluded(spec)) {
      problems_.error(reference.place,
                      fmt::format("'{}': a rule leaves out the dense trial that it names", reference.key));
      return std::nullopt;
    }
    if (const auto problem = options_.check ? options_.check(spec) : std::nullopt) {
      problems_.error(reference.place,
                      fmt::format("the dense trial that it names: '{}' {}", problem->key, problem->text));
      return std::nullopt;
    }
    return spec;
  }

  void note_references(const TrialSpec& spec, const Point& point, const TrialResolver& resolver) {
    std::vector<NeedReference> found = need_references(catalog_, spec.settings);
    if (found.empty()) return;
    for (NeedReference& reference : found) {
      reference.place = resolver.place_of(point, reference.key);
      reference.point = point;
    }
    references_.emplace(spec.id, std::move(found));
  }

  TrialSpec identified(TrialSpec spec) {
    if (spec.ranks > 1 && options_.depends_on_ranks && options_.depends_on_ranks(spec)) {
      spec.identity.set("ranks", std::to_string(spec.ranks));
      spec.identity = ranked_.pooled(spec.identity);
      spec.id = trial_id(spec.canonical());
    }
    return spec;
  }

  void add(const ResolvedTrial& trial, const Point& point, const TrialResolver& resolver) {
    const TrialSpec spec = identified(trial.spec);
    const TrialList::Added added = trials_.add(spec);
    if (added == TrialList::Added::Duplicate) {
      ++sweep_.duplicates;
      const std::string* label = spec.settings.find("label");
      if (label != nullptr && !label->empty()) aliases_.emplace_back(*label, spec.name());
    }
    if (added != TrialList::Added::NewConfiguration && added != TrialList::Added::NewRanks) return;
    note_references(spec, point, resolver);
    // Replicates differ in nothing that a check looks at.
    for (const ResolvedTrial::Unread& unread : trial.unread) {
      notes_.add("unread", unread.entry->key, unread.entry->value_place, fmt::format("is not read: {}", unread.why));
    }
    const auto problem = options_.check ? options_.check(spec) : std::nullopt;
    if (problem) {
      const SettingProblem closest = closest_key(*problem, spec.settings);
      problems_.error(resolver.place_of(point, closest.key), fmt::format("'{}' {}", closest.key, closest.text));
    } else if (options_.remarks && !options_.smoke) {  // a smoke trial is short on purpose
      for (const SettingProblem& remark : options_.remarks(spec)) {
        notes_.add("remark", remark.key, resolver.given_place(point, remark.key), remark.text);
      }
    }
  }

  void count_unread(const ResolvedTrial& trial) {
    ++resolved_;
    for (const ResolvedTrial::Unread& unread : trial.unread) {
      if (const auto axis = argument_axes_.find(unread.entry->key); axis != argument_axes_.end()) ++axis->second.unread;
    }
  }

  // `--set KEY=[A, B]` concerns those who read it, like a setting of the trial section; but an axis for nobody is none.
  void refuse_unread_arguments() {
    for (const auto& [key, axis] : argument_axes_) {
      if (axis.unread > 0 && axis.unread == resolved_) {
        problems_.error(axis.place, fmt::format("'{}' is read by no trial of this sweep", key));
      }
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
        &own_entries_.emplace_back(Entry{kFraction, std::move(fraction), smoke_place_, smoke_place_}));
    trial = resolver.resolve(more);
  }

  void finish() {
    sweep_.configurations = trials_.configurations();
    sweep_.replicates = std::max<std::size_t>(trials_.most_replicates(), 1);
    sweep_.trials = trials_.take();
    if (sweep_.trials.empty()) {
      fail(options_.only.empty() ? ErrorKind::Settings : ErrorKind::Usage,
           "{}: no trial is left after exclude and --only", sweep_.path.string());
    }
    for (const LeftOut& rule : sweep_.left_out) {
      if (rule.count == 0 && !rule.where.empty()) {
        sweep_.notes.push_back(fmt::format("{}: {} matches no trial", rule.where, rule.rule));
      }
    }
    for (std::string& note : notes_.lines(problems_, sweep_.configurations)) sweep_.notes.push_back(std::move(note));
    sweep_.save = sweep_.trials.front().settings.below("save");
  }

  const Catalog catalog_;
  const ExpandOptions& options_;
  Diagnostics problems_;
  Sweep sweep_;
  RuleBook rules_{catalog_};
  TrialList trials_;
  SettingsPool ranked_, linked_;                                  // identities with a number of ranks, with ids
  std::map<std::string, std::vector<NeedReference>> references_;  // by provisional id, of trials that need others
  std::vector<std::pair<std::string, std::string>> aliases_;      // further labels of trials, by provisional name
  std::vector<const Point*> kept_back_;                           // by --only
  PlanNotes notes_;
  struct ArgumentAxis {
    Place place;
    std::size_t unread = 0;  // trials that do not read its value
  };
  std::map<std::string, ArgumentAxis> argument_axes_;  // of --set KEY=[A, B]
  std::size_t resolved_ = 0;                           // points that no rule leaves out
  Place smoke_place_;
  std::deque<Entry> own_entries_;  // points refer to them, those of added dense trials too
};

}  // namespace

Sweep load_sweep(const std::filesystem::path& path, const Catalog& catalog, const ExpandOptions& options) {
  return Loader(path, catalog, options).load();
}

}  // namespace winnow
