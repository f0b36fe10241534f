#include "core/settings.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"
#include "core/setting_text.h"

namespace winnow {
namespace {

// The text of a default, in its one spelling. An empty default of a choice, a number or a path means
// "not set" and stays as it is.
CanonicalValue default_of(const Setting& setting) {
  if (!setting.fallback || setting.fallback->empty()) return {};
  return canonical_value(setting, *setting.fallback);
}

// What the other settings say of one that is not given, else its default.
CanonicalValue value_without(const Setting& setting, const Settings& resolved) {
  if (setting.derive) {
    const std::string text = setting.derive(resolved);
    if (!text.empty()) return canonical_value(setting, text);
  }
  return default_of(setting);
}

std::string condition_text(const Condition& condition, std::string_view prefix) {
  std::string values;
  for (std::size_t i = 0; i < condition.values.size(); ++i) {
    const bool last = i + 1 == condition.values.size();
    values += (i == 0 ? "" : last ? " or " : ", ") + (condition.values[i].empty() ? "empty" : condition.values[i]);
  }
  return fmt::format("{}{} is {}{}", prefix, condition.key, condition.one_of ? "" : "not ", values);
}

}  // namespace

std::string Range::text() const {
  const auto bound = [](double value) {
    if (std::isinf(value)) return std::string(value < 0 ? "-inf" : "inf");
    return fmt::format("{}", value);
  };
  return fmt::format("{}{}, {}{}", low_open || std::isinf(low) ? '(' : '[', bound(low), bound(high),
                     high_open || std::isinf(high) ? ')' : ']');
}

Condition where(std::string key, std::vector<std::string> values) { return {std::move(key), std::move(values), true}; }
Condition unless(std::string key, std::vector<std::string> values) {
  return {std::move(key), std::move(values), false};
}

const char* name_of(Setting::Kind kind) {
  static constexpr std::array kNames = {"true or false",
                                        "integer",
                                        "number",
                                        "text",
                                        "choice",
                                        "length",
                                        "list of integers",
                                        "list of numbers",
                                        "list of texts",
                                        "list of lengths",
                                        "list of name=number",
                                        "path",
                                        "name of a trial"};
  return kNames[static_cast<std::size_t>(kind)];
}

bool is_list(Setting::Kind kind) {
  using enum Setting::Kind;
  return kind == IntList || kind == RealList || kind == TextList || kind == LengthList || kind == NamedReals;
}

const Setting* find_setting(const Schema& schema, std::string_view key) {
  const auto found = std::ranges::find(schema, key, &Setting::key);
  return found == schema.end() ? nullptr : &*found;
}

bool holds(const Schema& schema, const Condition& condition, const Settings& resolved) {
  const Setting* setting = find_setting(schema, condition.key);
  const std::string* text = resolved.find(condition.key);
  if (setting == nullptr || text == nullptr || !is_read(schema, *setting, resolved)) return false;
  return (std::ranges::find(condition.values, *text) != condition.values.end()) == condition.one_of;
}

bool is_read(const Schema& schema, const Setting& setting, const Settings& resolved) {
  if (!setting.overridden.empty()) return false;
  return setting.read_when.empty() || std::ranges::any_of(setting.read_when, [&](const auto& conditions) {
           return std::ranges::all_of(conditions,
                                      [&](const Condition& condition) { return holds(schema, condition, resolved); });
         });
}

std::string conditions_text(const ReadWhen& alternatives, std::string_view prefix) {
  std::string text;
  for (const auto& conditions : alternatives) {
    std::string alternative;
    for (const Condition& condition : conditions) {
      alternative += (alternative.empty() ? "" : " and ") + condition_text(condition, prefix);
    }
    text += (text.empty() ? "" : ", or ") + alternative;
  }
  return text;
}

std::string read_when_text(const Setting& setting, std::string_view prefix) {
  return conditions_text(setting.read_when, prefix);
}

Settings resolve(const Schema& schema, const Settings& given, std::vector<SettingProblem>& problems) {
  Settings resolved;
  std::vector<const Setting*> missing;
  for (const Setting& setting : schema) {
    const std::string* text = given.find(setting.key);
    if (text == nullptr && !setting.fallback) {
      missing.push_back(&setting);
      continue;
    }
    // A default passes the same checks, so a schema cannot hold one that its own range refuses.
    CanonicalValue value = text == nullptr ? default_of(setting) : canonical_value(setting, *text);
    if (!value.problem.empty()) problems.push_back({setting.key, value.problem});
    resolved.set(setting.key, std::move(value.text));
  }
  for (const Setting* setting : missing) {
    if (is_read(schema, *setting, resolved)) problems.push_back({setting->key, "is required and not given"});
  }
  for (const Setting& setting : schema) {
    const bool follows = given.has(setting.key) ? !is_read(schema, setting, resolved) : setting.derive != nullptr;
    if (!follows || !problems.empty() || !setting.fallback) continue;
    resolved.set(setting.key, value_without(setting, resolved).text);
  }
  for (const auto& [key, value] : given.values()) {
    if (find_setting(schema, key) != nullptr) continue;
    std::vector<std::string> names;
    for (const Setting& setting : schema) names.push_back(setting.key);
    problems.push_back({key, "unknown key" + did_you_mean(key, names, "; ")});
  }
  return resolved;
}

Settings resolve(const Schema& schema, const Settings& given) {
  std::vector<SettingProblem> problems;
  Settings resolved = resolve(schema, given, problems);
  if (!problems.empty()) {
    fail(ErrorKind::Settings, "setting '{}': {}", problems.front().key, problems.front().text);
  }
  return resolved;
}

bool is_default(const Setting& setting, const Settings& resolved) {
  return setting.fallback && resolved.text(setting.key) == value_without(setting, resolved).text;
}

}  // namespace winnow
