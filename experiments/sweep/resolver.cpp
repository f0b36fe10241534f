#include "experiments/sweep/resolver.h"

#include <algorithm>

#include "core/error.h"
#include "experiments/sweep/hints.h"
#include "experiments/sweep/identity.h"

namespace winnow {
namespace {

const Component* find_component(const std::vector<Component>& all, std::string_view name) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const Component& c) { return c.name == name; });
  return found == all.end() ? nullptr : &*found;
}

std::vector<std::string> names_of(const std::vector<Component>& all) {
  std::vector<std::string> names;
  for (const Component& component : all) names.push_back(component.name);
  return names;
}

struct KeyParts {
  std::string prefix;  // "method.", "method.with.interspace.", "" for the trial
  std::string rest;    // "density"; "" for "method.with.interspace" itself
  std::string kind;    // "data", "model", "method" or ""
  std::string with;    // the composed method's name
};

KeyParts take_apart(std::string_view key) {
  const std::string composed = std::string(kWith) + ".";
  if (key.starts_with(composed)) {
    const std::size_t dot = key.find('.', composed.size());
    const std::string name(key.substr(composed.size(), dot - composed.size()));
    const std::string rest(dot == std::string_view::npos ? "" : key.substr(dot + 1));
    return {composed + name + ".", rest, "method", name};
  }
  for (const char* kind : {"data", "model", "method"}) {
    const std::string prefix = std::string(kind) + ".";
    if (key.starts_with(prefix)) return {prefix, std::string(key.substr(prefix.size())), kind, ""};
  }
  return {"", std::string(key), "", ""};
}

const std::vector<Component>& components(const Catalog& catalog, const std::string& kind) {
  return kind == "data" ? catalog.datasets : kind == "model" ? catalog.models : catalog.methods;
}

std::string suggestion(const std::string& key) {
  return fmt::format("did you mean '{}'?   (winnow explain {})", key, key);
}

}  // namespace

const Setting* setting_of(const Catalog& catalog, const Settings& trial, std::string_view key) {
  const KeyParts parts = take_apart(key);
  if (parts.kind.empty()) return find_setting(catalog.trial, key);
  const std::string name_key = parts.kind + ".name";
  if (parts.with.empty() && !trial.has(name_key)) return nullptr;
  const std::string& name = parts.with.empty() ? trial.text(name_key) : parts.with;
  const Component* component = find_component(components(catalog, parts.kind), name);
  return component ? find_setting(component->schema, parts.rest) : nullptr;
}

std::vector<const Setting*> settings_named(const Catalog& catalog, std::string_view key) {
  const KeyParts parts = take_apart(key);
  std::vector<const Setting*> found;
  if (parts.kind.empty()) {
    if (const Setting* setting = find_setting(catalog.trial, key)) found.push_back(setting);
    return found;
  }
  for (const Component& component : components(catalog, parts.kind)) {
    if (!parts.with.empty() && component.name != parts.with) continue;
    if (const Setting* setting = find_setting(component.schema, parts.rest)) found.push_back(setting);
  }
  return found;
}

TrialResolver::TrialResolver(const Catalog& catalog, const std::vector<Entry>& base, Place missing_place,
                             PathContent content)
    : catalog_(catalog), base_(base), missing_place_(missing_place), content_(std::move(content)) {
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
    const auto near = nearest(entry.text, names_of(all));
    trial.problems.push_back(
        {entry.value_place, fmt::format("unknown {} '{}'", key, entry.text),
         near ? fmt::format("did you mean '{}'?", *near) : fmt::format("known: {}", fmt::join(names_of(all), ", "))});
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
    const KeyParts parts = take_apart(key);
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
      const auto near = nearest(parts.with, names_of(catalog_.methods));
      trial.problems.push_back({entry.key_place, fmt::format("unknown method '{}' in 'method.with'", parts.with),
                                near ? fmt::format("did you mean '{}'?", *near)
                                     : fmt::format("known: {}", fmt::join(names_of(catalog_.methods), ", "))});
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

ResolvedTrial TrialResolver::resolved(const Point& point) {
  // Neighbouring points differ in few groups; a sampled key makes as many entries as points.
  constexpr std::size_t kMostRemembered = 4096;
  if (memo_.size() >= kMostRemembered) memo_.clear();
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
    const Component* component = pick(kind, components(catalog_, kind), given, trial);
    if (kind == "method") method = component;
    if (!component) continue;
    const std::string key = kind + ".name";
    add_component(*component, kind + ".", given.at(key).entry->value_place, groups, trial);
    trial.spec.identity.set(key, component->name);
  }
  add_composed(given, method, groups, trial);

  for (const auto& [key, value] : given) {
    const KeyParts parts = take_apart(key);
    const bool is_name = !parts.kind.empty() && parts.with.empty() && parts.rest == "name";
    if (is_name || (!parts.with.empty() && parts.rest.empty())) {
      read_.insert(value.entry);
      continue;
    }
    const auto group = groups.find(parts.prefix);
    // Without its component a key cannot be judged; the component's absence is already a problem.
    if (group == groups.end()) {
      read_.insert(value.entry);
    } else {
      group->second.given.emplace_back(parts.rest, value);
    }
  }
  for (auto& [prefix, group] : groups) check(group, trial);
  const Overridden by_key = overridden(groups);
  for (auto& [prefix, group] : groups) {
    if (!by_key.empty()) group.checked = &checked(group, by_key);
    add_checked(group, trial);
  }

  if (catalog_.train_version != 1) trial.spec.identity.set("train.version", std::to_string(catalog_.train_version));
  trial.spec.settings = settings_.pooled(trial.spec.settings);
  trial.spec.identity = identities_.pooled(trial.spec.identity);
  trial.spec.id = trial_id(trial.spec.canonical());
  if (trial.problems.empty() && trial.spec.settings.has("ranks")) {
    trial.spec.ranks = static_cast<int>(trial.spec.settings.integer("ranks"));
  }
  return trial;
}

void TrialResolver::check(Group& group, ResolvedTrial& trial) {
  for (const auto& [key, value] : group.given) {
    if (find_setting(*group.schema, key)) {
      read_.insert(value.entry);
      group.settings.set(key, value.entry->text);
    } else if (!value.from_base) {
      trial.problems.push_back(unknown(*value.entry, group.reader));
    }
  }
  group.checked = &checked(group);
}

// Methods first: one of them may override what the trial itself would override others by.
TrialResolver::Overridden TrialResolver::overridden(const std::map<std::string, Group>& groups) {
  Overridden found;
  const auto full_key = [](const std::string& key, const Group& of) {
    const KeyParts parts = take_apart(key);
    return parts.kind == "method" ? of.prefix + parts.rest : key;
  };
  const auto is_so = [&](const Condition& condition, const Group& of) {
    const std::string key = full_key(condition.key, of);
    const KeyParts parts = take_apart(key);
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

void TrialResolver::add_checked(const Group& group, ResolvedTrial& trial) const {
  const Checked& result = *group.checked;
  for (const auto& [key, text] : result.settings.values()) trial.spec.settings.set(key, text);
  for (const auto& [key, text] : result.identity.values()) trial.spec.identity.set(key, text);
  for (const SettingProblem& problem : result.problems) {
    const auto at = std::find_if(group.given.begin(), group.given.end(),
                                 [&](const auto& item) { return item.first == problem.key; });
    const bool missing = at == group.given.end();
    trial.problems.push_back({missing ? group.place : at->second.entry->value_place,
                              fmt::format("'{}{}' {}", group.prefix, problem.key, problem.text), "", missing});
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

const TrialResolver::Checked& TrialResolver::checked(const Group& group, const Overridden& by_key) {
  std::string memo_key = group.prefix + "\n" + group.reader + "\n";
  for (const auto& [key, text] : group.settings.values()) memo_key += key + "=" + text + "\n";
  std::vector<std::pair<std::string, std::string>> here;  // of the overridden ones, without the prefix
  for (const auto& [key, who] : by_key) {
    const KeyParts parts = take_apart(key);
    if (parts.prefix != group.prefix || find_setting(*group.schema, parts.rest) == nullptr) continue;
    memo_key += parts.rest + ": " + who + "\n";
    here.emplace_back(parts.rest, who);
  }
  const auto [found, is_new] = memo_.try_emplace(std::move(memo_key));
  Checked& result = found->second;
  if (!is_new) return result;
  if (!here.empty()) result.schema = *group.schema;
  for (const auto& [key, who] : here) std::ranges::find(result.schema, key, &Setting::key)->overridden = who;
  const Schema& schema = here.empty() ? *group.schema : result.schema;
  result.own = winnow::resolve(schema, group.settings, result.problems);
  for (const auto& [key, text] : result.own.values()) {
    const std::string full_key = group.prefix + key;
    result.settings.set(full_key, text);
    if (!group.settings.has(key) || !result.problems.empty()) continue;
    const Setting& setting = *find_setting(schema, key);
    if (!is_read(schema, setting, result.own)) {
      result.unread.push_back(&setting);
    } else if (in_identity(full_key) && !is_default(setting, result.own)) {
      result.identity.set(full_key, identity_text(setting, text, result));
    }
  }
  return result;
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

const FoundProblem& TrialResolver::unknown(const Entry& entry, const std::string& reader) {
  const auto [found, is_new] = unknown_.try_emplace({&entry, reader});
  if (is_new) found->second = describe_unread(entry, reader);
  return found->second;
}

// `reader` is the component that was asked; empty for "none of the selected ones".
FoundProblem TrialResolver::describe_unread(const Entry& entry, const std::string& reader) const {
  const KeyParts parts = take_apart(entry.key);
  std::vector<std::string> readers, candidates;
  for (const Setting& setting : catalog_.trial) candidates.push_back(setting.key);
  for (const std::string kind : {"data", "model", "method"}) {
    candidates.push_back(kind + ".name");
    for (const Component& component : components(catalog_, kind)) {
      if (!parts.with.empty() && component.name != parts.with) continue;
      for (const Setting& setting : component.schema) {
        // What the asked component reads comes first, so that it wins among equally near keys.
        const std::string prefix = parts.kind == kind ? parts.prefix : kind + ".";
        candidates.insert(component.name == reader ? candidates.begin() : candidates.end(), prefix + setting.key);
        if (parts.kind == kind && setting.key == parts.rest) readers.push_back(component.name);
      }
    }
  }
  if (!readers.empty() && parts.with.empty()) {
    const std::string nobody = reader.empty() ? fmt::format("is read by no selected {}", parts.kind)
                                              : fmt::format("is not read by '{}'", reader);
    return {entry.key_place, fmt::format("'{}' {}", entry.key, nobody),
            fmt::format("read by {}", fmt::join(readers, ", "))};
  }
  if (std::string hint = hint_for(entry.key, entry.text); !hint.empty()) {
    return {entry.key_place, fmt::format("unknown key '{}'", entry.key), std::move(hint)};
  }
  const auto near = nearest(entry.key, candidates);
  return {entry.key_place, fmt::format("unknown key '{}'", entry.key), near ? suggestion(*near) : ""};
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
std::optional<FoundProblem> TrialResolver::unknown_section(const Entry& entry, const std::string& section) const {
  std::vector<std::string> known = {"data", "model", "method"};
  for (const Setting& setting : catalog_.trial) known.push_back(setting.key.substr(0, setting.key.find('.')));
  if (section == entry.key || std::ranges::find(known, section) != known.end()) return std::nullopt;
  const auto near = nearest(section, known);
  return FoundProblem{entry.key_place, fmt::format("unknown section '{}' of the key '{}'", section, entry.key),
                      near ? fmt::format("did you mean '{}'?", *near) : ""};
}

std::vector<FoundProblem> TrialResolver::unread(bool only_unknown) const {
  std::vector<FoundProblem> found;
  std::set<std::string> sections;
  for (const Entry& entry : base_) {
    if (read_.contains(&entry) || tolerated_.contains(entry.key)) continue;
    if (only_unknown && !settings_named(catalog_, entry.key).empty()) continue;
    const std::string section = entry.key.substr(0, entry.key.find('.'));
    if (auto problem = unknown_section(entry, section)) {
      if (sections.insert(section).second) found.push_back(std::move(*problem));
    } else {
      found.push_back(describe_unread(entry, ""));
    }
  }
  return found;
}

}  // namespace winnow
