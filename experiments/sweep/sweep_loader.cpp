#include "experiments/sweep/sweep_loader.h"

#include <algorithm>

#include "experiments/sweep/argument.h"
#include "experiments/sweep/identity.h"

namespace winnow {
namespace {

// Some texts begin with the very setting to mend: "method.layer_density: no prunable layer 'x'".
SettingProblem closest_key(const SettingProblem& problem, const Settings& trial) {
  const std::size_t colon = problem.text.find(": ");
  if (colon == std::string::npos || !trial.has(problem.text.substr(0, colon))) return problem;
  return {problem.text.substr(0, colon), problem.text.substr(colon + 2)};
}

}  // namespace

Sweep SweepLoader::load() {
  Document document = read_document(sweep_.path, options_.text, problems_);
  sweep_.name = document.name;
  Axes axes = expand_axes(document.axes, problems_);
  arguments_ = apply_arguments(options_, catalog_, document, axes, problems_);
  read_rules(document);
  sweep_.notes.insert(sweep_.notes.end(), axes.notes.begin(), axes.notes.end());
  expand(document, axes);
  refuse_unread_arguments();
  check_stop(document);
  problems_.throw_if_any();
  finish();
  sweep_.text = problems_.files_text();
  return std::move(sweep_);
}

void SweepLoader::read_rules(const Document& document) {
  for (const std::string& argument : options_.only) {
    const NodePtr map = parse_argument("--only " + argument, argument, problems_);
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

void SweepLoader::add_rule(Rule rule, bool keeps, LeftOut left_out) {
  rules_.add(std::move(rule), keeps);
  sweep_.left_out.push_back(std::move(left_out));
}

bool SweepLoader::left_out(const TrialSpec& spec, const Point& point) {
  const auto rule = rules_.leaving_out(spec);
  if (rule) ++sweep_.left_out[*rule].count;
  if (rule && rules_.keeps(*rule)) kept_back_.push_back(&point);
  return rule.has_value();
}

void SweepLoader::expand(const Document& document, const Axes& axes) {
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
  sweep_.contents = resolver.contents();
  for (const FoundProblem& problem : resolver.unread(damaged)) {
    problems_.error(problem.place, problem.text, problem.hint);
  }
}

TrialSpec SweepLoader::identified(TrialSpec spec) {
  if (spec.ranks > 1 && options_.depends_on_ranks && options_.depends_on_ranks(spec)) {
    spec.identity.set("ranks", std::to_string(spec.ranks));
    spec.id = trial_id(spec.canonical());
  }
  return spec;
}

void SweepLoader::add(const ResolvedTrial& trial, const Point& point, const TrialResolver& resolver) {
  const TrialSpec spec = identified(trial.spec);
  const TrialList::Added added = trials_.add(spec);
  if (added == TrialList::Added::Duplicate) {
    ++sweep_.duplicates;
    const std::string* label = spec.settings.find("label");
    if (label != nullptr && !label->empty()) aliases_.emplace_back(*label, spec.name());
    refuse_nameless_axis(spec, point);
  }
  if (added != TrialList::Added::NewConfiguration && added != TrialList::Added::NewRanks) return;
  stop_.look_at(spec);
  note_references(spec, point, resolver);
  // Replicates differ in nothing that a check looks at.
  for (const ResolvedTrial::Unread& unread : trial.unread) {
    notes_.add("unread", unread.entry->key, unread.entry->value_place, fmt::format("is not read: {}", unread.why),
               trials_.configurations());
  }
  const auto problem = options_.check ? options_.check(spec) : std::nullopt;
  if (problem) {
    const SettingProblem closest = closest_key(*problem, spec.settings);
    problems_.error(resolver.place_of(point, closest.key), fmt::format("'{}' {}", closest.key, closest.text));
  } else if (options_.remarks && !options_.smoke) {  // a smoke trial is short on purpose
    for (const SettingProblem& remark : options_.remarks(spec)) {
      notes_.add("remark", remark.key, resolver.given_place(point, remark.key), remark.text, trials_.configurations());
    }
  }
}

// Two values of a setting that is no part of a name are one trial, which would be trained with the first of them alone.
// Labels are names of their own.
void SweepLoader::refuse_nameless_axis(const TrialSpec& spec, const Point& point) {
  std::optional<TrialSpec> first;
  for (const auto* entries : {&point.entries, &point.replacing}) {
    for (const Entry* entry : *entries) {
      if (in_identity(entry->key) || entry->key == "label") continue;
      if (!first) first = trials_.first_with(spec.id);
      const std::string *one = first->settings.find(entry->key), *other = spec.settings.find(entry->key);
      if (one == nullptr || other == nullptr || *one == *other) continue;
      problems_.error(entry->key_place,
                      fmt::format("'{}' is no part of this trial's name: with {} and with {} it is one trial, trained "
                                  "once",
                                  entry->key, *one, *other),
                      fmt::format("give it one value; run the sweep once with each to compare: --set {}={} -o OTHER",
                                  entry->key, *other));
    }
  }
}

void SweepLoader::count_unread(const ResolvedTrial& trial) {
  ++resolved_;
  for (const ResolvedTrial::Unread& unread : trial.unread) {
    if (const auto axis = arguments_.axes.find(unread.entry->key); axis != arguments_.axes.end()) ++axis->second.unread;
  }
}

// `--set KEY=[A, B]` concerns those who read it, like a setting of the trial section; but an axis for nobody is none.
void SweepLoader::refuse_unread_arguments() {
  for (const auto& [key, axis] : arguments_.axes) {
    if (axis.unread > 0 && axis.unread == resolved_) {
      problems_.error(axis.place, fmt::format("'{}' is read by no trial of this sweep", key));
    }
  }
}

// The usual share of a small data set may be too little to train on.
void SweepLoader::fit_smoke_data(ResolvedTrial& trial, const Point& point, TrialResolver& resolver) {
  const Settings& settings = trial.spec.settings;
  if (!options_.smoke_fraction || !trial.problems.empty() || !settings.has(kFraction)) return;
  std::string fraction = options_.smoke_fraction(trial.spec);
  if (fraction == settings.text(kFraction)) return;
  Point more = point;
  more.entries.push_back(
      &own_entries_.emplace_back(Entry{kFraction, std::move(fraction), arguments_.smoke, arguments_.smoke}));
  trial = resolver.resolve(more);
}

// Smoke trials are too short for a rule.
void SweepLoader::check_stop(Document& document) {
  if (!document.stop || options_.smoke || problems_.any()) return;
  GivenStop& given = *document.stop;
  for (const auto& [trial, references] : references_) {
    if (references != nullptr && !references->empty()) stop_.needed(references->front().key);
  }
  stop_.finish(given, problems_);
  if (given.rule.is_of_test()) {
    sweep_.notes.push_back(
        fmt::format("'{}' chooses by {}: the test accuracies of the trials that are left are too good by that choice",
                    given.name, given.rule.metric));
  }
  sweep_.stop = given.rule;
}

void SweepLoader::finish() {
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

}  // namespace winnow
