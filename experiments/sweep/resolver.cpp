#include "experiments/sweep/resolver.h"

#include <algorithm>

#include "core/error.h"
#include "experiments/sweep/hints.h"
#include "experiments/sweep/identity.h"

namespace winnow {

namespace {

std::string near_or_all(const std::string& name, const std::vector<Component>& all) {
  std::string hint = did_you_mean(name, names_of(all));
  return hint.empty() ? fmt::format("known: {}", fmt::join(names_of(all), ", ")) : hint;
}

}  // namespace

TrialResolver::TrialResolver(const Catalog& catalog, const std::vector<Entry>& base, Place missing_place,
                             PathContent content)
    : catalog_(catalog), base_(base), missing_place_(missing_place), content_(std::move(content)), unknown_(catalog) {
  for (const Entry& entry : base_) base_given_[entry.key] = {&entry, true};
}

TrialResolver::GivenMap TrialResolver::overlay(const Point& point) const {
  GivenMap given = base_given_;
  for (const Entry* entry : point.replacing) given[entry->key] = {entry, true};
  for (const Entry* entry : point.entries) given[entry->key] = {entry, false};
  return given;
}

const Component* TrialResolver::pick(const std::string& kind, const std::vector<Component>& all, const GivenMap& given,
                                     ResolvedTrial& trial) const {
  const std::string key = kind + ".name";
  const auto found = given.find(key);
  if (found == given.end()) {
    trial.problems.push_back({missing_place_, fmt::format("'{}' is required and not given", key), "", true});
    return nullptr;
  }
  const Entry& entry = *found->second.entry;
  trial.spec.settings.set(key, entry.text);
  const Component* component = find_component(all, entry.text);
  if (!component) {
    const std::string axis = hint_for_values(key, entry.text, found->second.from_base);
    trial.problems.push_back({entry.value_place, fmt::format("unknown {} '{}'", key, entry.text),
                              axis.empty() ? near_or_all(entry.text, all) : axis});
  }
  return component;
}

void TrialResolver::add_component(const Component& component, const std::string& prefix, Place place,
                                  std::map<std::string, Group>& groups, ResolvedTrial& trial) const {
  groups[prefix] = {&component.schema, &component.overrides, prefix, component.name, place};
  // The first version leaves no line, so that counting versions did not rename any trial.
  if (component.version != 1) trial.spec.identity.set(prefix + "version", std::to_string(component.version));
}

void TrialResolver::add_composed(const GivenMap& given, const Component* method, std::map<std::string, Group>& groups,
                                 ResolvedTrial& trial) {
  std::set<std::string> seen;
  for (const auto& [key, value] : given) {
    const KeyParts& parts = parts_of(value.entry->key);
    if (parts.with.empty()) continue;
    const std::string presence = fmt::format("{}.{}", kWith, parts.with);
    if (const auto said = given.find(presence); said != given.end()) {
      const Entry& entry = *said->second.entry;
      read_.insert(&entry);
      if (entry.text != "on" && entry.text != "off") {
        trial.problems.push_back({entry.value_place,
                                  fmt::format("'{}' must be on, off or a map of settings, is {}", presence, entry.text),
                                  ""});
        continue;
      }
      if (entry.text == "off") {
        read_.insert(value.entry);
        continue;
      }
    }
    if (!seen.insert(parts.with).second) continue;
    const Entry& entry = *value.entry;
    const Component* component = find_component(catalog_.methods, parts.with);
    if (!component) {
      trial.problems.push_back({entry.key_place, fmt::format("unknown method '{}' in 'method.with'", parts.with),
                                near_or_all(parts.with, catalog_.methods)});
      read_.insert(&entry);
      continue;
    }
    if (component == method) {
      trial.problems.push_back({entry.key_place, fmt::format("'{}' is already the trial's method", parts.with), ""});
    }
    add_component(*component, presence + ".", entry.key_place, groups, trial);
    trial.spec.settings.set(presence, "on");
    trial.spec.identity.set(presence, "on");
  }
}

const ResolvedTrial& TrialResolver::resolve(const Point& point) {
  if (!last_ || point.entries != last_point_.entries || point.replacing != last_point_.replacing) {
    last_ = resolved(point);
    last_point_ = point;
  }
  last_->spec.replicate = point.replicate.value_or(0);
  return *last_;
}

namespace {

void set_all(Settings& settings, std::vector<const std::pair<std::string, std::string>*>& all) {
  // In order, so that nothing is moved to make room.
  std::ranges::sort(all, {}, [](const auto* one) -> const std::string& { return one->first; });
  for (const auto* one : all) settings.set(one->first, one->second);
}

}  // namespace

void TrialResolver::fill(TrialSpec& spec, const std::map<std::string, Group>& groups) {
  std::vector<const KeyText*> settings, identity;
  for (const auto& [prefix, group] : groups) {
    for (const KeyText& one : group.checked->settings) settings.push_back(&one);
    for (const KeyText& one : group.checked->identity) identity.push_back(&one);
  }
  set_all(spec.settings, settings);
  set_all(spec.identity, identity);
}

const KeyParts& TrialResolver::parts_of(const std::string& key) {
  const auto [known, is_new] = parts_.try_emplace(key);
  if (is_new) known->second = take_apart(key);
  return known->second;
}

ResolvedTrial TrialResolver::resolved(const Point& point) {
  ResolvedTrial trial;
  const GivenMap given = overlay(point);
  for (const Entry* entry : point.entries) {
    // A key that an axis replaces is checked with the axis' values.
    const auto replaced = base_given_.find(entry->key);
    if (replaced != base_given_.end()) read_.insert(replaced->second.entry);
  }
  std::map<std::string, Group> groups;
  groups[""] = {&catalog_.trial, &catalog_.overrides, "", "", missing_place_};
  const Component* method = nullptr;
  for (const std::string kind : {"data", "model", "method"}) {
    const Component* component = pick(kind, components_of(catalog_, kind), given, trial);
    if (kind == "method") method = component;
    if (!component) continue;
    const std::string key = kind + ".name";
    add_component(*component, kind + ".", given.at(key).entry->value_place, groups, trial);
    trial.spec.identity.set(key, component->name);
  }
  add_composed(given, method, groups, trial);

  for (const auto& [key, value] : given) {
    const KeyParts& parts = parts_of(value.entry->key);
    if (parts.is_name() || parts.is_presence()) {
      if (value.from_base) read_.insert(value.entry);
      continue;
    }
    const auto group = groups.find(parts.prefix);
    // Without its component a key cannot be judged; the component's absence is already a problem.
    if (group == groups.end()) {
      if (value.from_base) read_.insert(value.entry);
    } else {
      group->second.given.emplace_back(parts.rest, value);
    }
  }
  for (auto& [prefix, group] : groups) check(group, trial);
  const Overridden by_key = overridden(groups);
  for (auto& [prefix, group] : groups) {
    if (!by_key.empty()) group.checked = checked(group, by_key);
    report(group, trial);
  }
  fill(trial.spec, groups);
  if (catalog_.train_version != 1) trial.spec.identity.set("train.version", std::to_string(catalog_.train_version));
  trial.spec.id = trial_id(trial.spec.canonical());
  if (trial.problems.empty() && trial.spec.settings.has("ranks")) {
    trial.spec.ranks = static_cast<int>(trial.spec.settings.integer("ranks"));
  }
  return trial;
}

void TrialResolver::check(Group& group, ResolvedTrial& trial) {
  group.memo_key = group.prefix + "\n" + group.reader + "\n";
  for (const auto& [key, value] : group.given) {
    if (find_setting(*group.schema, key)) {
      if (value.from_base) read_.insert(value.entry);
      group.memo_key.append(key).append("=").append(value.entry->text).append("\n");
    } else if (!value.from_base) {
      trial.problems.push_back(unknown_.problem(*value.entry, group.reader));
    }
  }
  group.checked = checked(group);
}

// Methods first: one of them may override what the trial itself would override others by.
TrialResolver::Overridden TrialResolver::overridden(const std::map<std::string, Group>& groups) {
  Overridden found;
  const auto full_key = [&](const std::string& key, const Group& of) {
    const KeyParts& parts = parts_of(key);
    return parts.kind == "method" ? of.prefix + parts.rest : key;
  };
  const auto is_so = [&](const Condition& condition, const Group& of) {
    const std::string key = full_key(condition.key, of);
    const KeyParts& parts = parts_of(key);
    const auto group = groups.find(parts.prefix);
    return group != groups.end() && !found.contains(key) &&
           holds(*group->second.schema, {parts.rest, condition.values, condition.one_of}, group->second.checked->own);
  };
  const auto add = [&](const Group& group) {
    for (const Override& each : *group.overrides) {
      const auto all_so = [&](const auto& conditions) {
        return std::ranges::all_of(conditions, [&](const Condition& condition) { return is_so(condition, group); });
      };
      if (!each.when.empty() && std::ranges::none_of(each.when, all_so)) continue;
      const std::string where = each.when.empty() ? "" : " where " + conditions_text(each.when);
      const std::string who = group.reader.empty() ? "it is overridden" : fmt::format("{} overrides it", group.reader);
      found.emplace(full_key(each.key, group), who + where);
    }
  };
  for (const auto& [prefix, group] : groups) {
    if (!prefix.empty()) add(group);
  }
  add(groups.at(""));
  return found;
}

void TrialResolver::report(const Group& group, ResolvedTrial& trial) const {
  for (const SettingProblem& problem : group.checked->problems) {
    const auto at = std::find_if(group.given.begin(), group.given.end(),
                                 [&](const auto& item) { return item.first == problem.key; });
    const bool missing = at == group.given.end();
    const Setting* setting = find_setting(*group.schema, problem.key);
    std::string hint;
    if (!missing && setting != nullptr && !is_list(setting->kind)) {
      hint = hint_for_values(group.prefix + problem.key, at->second.entry->text, at->second.from_base);
    }
    trial.problems.push_back({missing ? group.place : at->second.entry->value_place,
                              fmt::format("'{}{}' {}", group.prefix, problem.key, problem.text), std::move(hint),
                              missing});
  }
  report_unread(group, trial);
}

// What an axis sets must be read by each of its trials: the others would be one experiment under many
// names, with other seeds. What the trial section sets is for those whom it concerns.
void TrialResolver::report_unread(const Group& group, ResolvedTrial& trial) const {
  for (const Setting* setting : group.checked->unread) {
    const auto given = std::ranges::find(group.given, setting->key, &std::pair<std::string, Given>::first);
    const Entry& entry = *given->second.entry;
    const std::string read = "when " + read_when_text(*setting, group.prefix);
    const bool by_other = !setting->overridden.empty();
    if (given->second.from_base) {
      trial.unread.push_back({&entry, by_other ? setting->overridden : "it is " + read});
    } else {
      const std::string text = fmt::format("'{}' is not read by every trial of this axis", entry.key);
      const std::string hint = "give it to the cases that read it";
      trial.problems.push_back({entry.key_place, by_other ? text + ": " + setting->overridden : text,
                                by_other ? hint : "read " + read + "; " + hint});
    }
  }
}

TrialResolver::CheckedPtr TrialResolver::checked(const Group& group, const Overridden& by_key) {
  std::string memo_key = group.memo_key;
  std::vector<std::pair<std::string, std::string>> here;  // of the overridden ones, without the prefix
  for (const auto& [key, who] : by_key) {
    const KeyParts& parts = parts_of(key);
    if (parts.prefix != group.prefix || find_setting(*group.schema, parts.rest) == nullptr) continue;
    memo_key += parts.rest + ": " + who + "\n";
    here.emplace_back(parts.rest, who);
  }
  // Neighbouring points differ in few groups; a sampled key makes as many entries as points.
  constexpr std::size_t kMostRemembered = 4096;
  if (memo_.size() >= kMostRemembered) memo_.clear();
  CheckedPtr& known = memo_[std::move(memo_key)];
  if (known != nullptr) return known;
  auto result = std::make_shared<Checked>();
  if (!here.empty()) result->schema = *group.schema;
  for (const auto& [key, who] : here) std::ranges::find(result->schema, key, &Setting::key)->overridden = who;
  const Schema& schema = here.empty() ? *group.schema : result->schema;
  Settings given;
  for (const auto& [key, value] : group.given) {
    if (find_setting(schema, key)) given.set(key, value.entry->text);
  }
  result->own = winnow::resolve(schema, given, result->problems);
  for (const auto& [key, text] : result->own.values()) {
    std::string full_key = group.prefix + key;
    if (given.has(key) && result->problems.empty()) {
      const Setting& setting = *find_setting(schema, key);
      if (!is_read(schema, setting, result->own)) {
        result->unread.push_back(&setting);
      } else if (in_identity(full_key) && !is_default(setting, result->own)) {
        result->identity.emplace_back(full_key, identity_text(setting, text, *result));
      }
    }
    result->settings.emplace_back(std::move(full_key), text);
  }
  return known = std::move(result);
}

std::string TrialResolver::identity_text(const Setting& setting, const std::string& text, Checked& result) {
  if (setting.kind != Setting::Kind::Path || !content_) return text;
  try {
    std::string& content = contents_[text];
    if (content.empty()) content = content_(text);
    return content;
  } catch (const Error& error) {
    result.problems.push_back({setting.key, fmt::format("cannot be used: {}", error.what())});
    return text;
  }
}

Place TrialResolver::place_of(const Point& point, const std::string& key) const {
  const GivenMap given = overlay(point);
  for (const std::string_view candidate : {std::string_view(key), std::string_view("method.name")}) {
    const auto found = given.find(candidate);
    if (found != given.end()) return found->second.entry->value_place;
  }
  return missing_place_;
}

Place TrialResolver::given_place(const Point& point, const std::string& key) const {
  const GivenMap given = overlay(point);
  const auto found = given.find(key);
  return found == given.end() ? Place{} : found->second.entry->value_place;
}

// A misspelt section is one mistake, however many keys are below it.
std::vector<FoundProblem> TrialResolver::unread(bool only_unknown) {
  std::vector<FoundProblem> found;
  std::set<std::string> sections;
  for (const Entry& entry : base_) {
    if (read_.contains(&entry) || tolerated_.contains(entry.key)) continue;
    if (only_unknown && !settings_named(catalog_, entry.key).empty()) continue;
    const std::string section = entry.key.substr(0, entry.key.find('.'));
    if (auto problem = unknown_.unknown_section(entry, section)) {
      if (sections.insert(section).second) found.push_back(std::move(*problem));
    } else {
      found.push_back(unknown_.problem(entry, ""));
    }
  }
  return found;
}

}  // namespace winnow
