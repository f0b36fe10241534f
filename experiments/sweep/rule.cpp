#include "experiments/sweep/rule.h"

#include <algorithm>
#include <array>

#include "core/setting_text.h"
#include "experiments/sweep/catalog_keys.h"
#include "experiments/sweep/unknown_keys.h"

namespace winnow {
namespace {

const std::vector<std::string> kOps = {"lt", "le", "gt", "ge", "eq", "ne"};  // as in Rule::Op

bool is_number(Setting::Kind kind) {
  return kind == Setting::Kind::Int || kind == Setting::Kind::Real || kind == Setting::Kind::Length;
}

bool is_comparison(const YamlNode& node) {
  return node.is_map() && !node.members.empty() &&
         std::all_of(node.members.begin(), node.members.end(), [](const Member& member) {
           return std::find(kOps.begin(), kOps.end(), member.key) != kOps.end();
         });
}

bool is_presence(const std::string& key) {
  const std::string start = std::string(kWith) + ".";
  return key.starts_with(start) && key.find('.', start.size()) == std::string::npos;
}

const std::vector<Component>* named_components(const Catalog& catalog, const std::string& key) {
  if (key == "data.name") return &catalog.datasets;
  if (key == "model.name") return &catalog.models;
  if (key == "method.name") return &catalog.methods;
  return nullptr;
}

}  // namespace

class RuleReader {
 public:
  RuleReader(const Catalog& catalog, Diagnostics& problems) : catalog_(catalog), problems_(problems) {}

  std::optional<Rule> read(const YamlNode& node) {
    rule_.place_ = node.place;
    if (!node.is_map() || node.members.empty()) {
      wrong(node.place, "a rule is a map of settings: '{method.name: snip, method.density: {ge: 0.5}}'");
      return std::nullopt;
    }
    read_map(node, "");
    if (failed_) return std::nullopt;
    return std::move(rule_);
  }

 private:
  void wrong(const Place& place, std::string text, std::string hint = {}) {
    problems_.error(place, std::move(text), std::move(hint));
    failed_ = true;
  }

  void read_map(const YamlNode& node, const std::string& prefix) {
    for (const Member& member : node.members) {
      const std::string key = prefix.empty() ? member.key : prefix + "." + member.key;
      // Below a setting there are comparisons, however they are spelt.
      if (member.value->is_map() && !is_comparison(*member.value) && settings_named(catalog_, key).empty()) {
        read_map(*member.value, key);
      } else {
        read_condition(key, member);
      }
    }
  }

  void read_condition(const std::string& key, const Member& member) {
    Rule::Condition condition;
    condition.key = key;
    condition.presence = is_presence(key);
    const YamlNode& value = *member.value;
    const auto settings = settings_named(catalog_, key);
    const std::vector<Component>* named = named_components(catalog_, key);
    if (settings.empty() && !named && !condition.presence) return unknown_key(key, member.place);
    if (value.is_map()) {
      read_comparisons(condition, settings, member);
    } else {
      std::vector<NodePtr> items = value.items;
      if (!value.is_list()) items.push_back(member.value);
      for (const NodePtr& item : items) read_value(condition, settings, named, *item);
    }
    rule_.conditions_.push_back(std::move(condition));
  }

  void unknown_key(const std::string& key, const Place& place) {
    std::vector<std::string> keys = {"data.name", "model.name", "method.name"};
    for (const Setting& setting : catalog_.trial) keys.push_back(setting.key);
    const auto add = [&](const std::vector<Component>& all, const std::string& kind) {
      for (const Component& component : all) {
        for (const Setting& setting : component.schema) keys.push_back(kind + "." + setting.key);
      }
    };
    add(catalog_.datasets, "data");
    add(catalog_.models, "model");
    add(catalog_.methods, "method");
    wrong(place, fmt::format("unknown key '{}'", key), did_you_mean_key(key, keys));
  }

  void read_value(Rule::Condition& condition, const std::vector<const Setting*>& settings,
                  const std::vector<Component>* named, const YamlNode& node) {
    const auto text = value_text(node, condition.key, problems_);
    if (!text) {
      failed_ = true;
      return;
    }
    if (named) {
      std::vector<std::string> names;
      for (const Component& component : *named) names.push_back(component.name);
      if (std::find(names.begin(), names.end(), *text) == names.end()) {
        wrong(node.place, fmt::format("unknown {} '{}'", condition.key, *text), did_you_mean(*text, names));
      }
    }
    condition.plain.insert(*text);
    std::string reason;
    bool fits_one = settings.empty();
    for (const Setting* setting : settings) {
      const CanonicalValue value = canonical_value(*setting, *text);
      if (value.problem.empty()) {
        condition.canonical[setting].insert(value.text);
        fits_one = true;
      } else {
        reason = value.problem;
      }
    }
    if (!fits_one) wrong(node.place, fmt::format("'{}' {}", condition.key, reason));
  }

  void read_comparisons(Rule::Condition& condition, const std::vector<const Setting*>& settings, const Member& member) {
    const bool comparable = !settings.empty() && std::all_of(settings.begin(), settings.end(),
                                                             [](const Setting* s) { return is_number(s->kind); });
    if (!comparable) {
      return wrong(member.value->place, fmt::format("'{}' is not a number and cannot be compared", condition.key));
    }
    if (member.value->members.empty())
      wrong(member.value->place, fmt::format("'{}' needs a comparison: {{ge: 0.5}}", condition.key));
    const Setting number{.key = "bound", .kind = Setting::Kind::Real, .fallback = {}};
    for (const Member& bound : member.value->members) {
      std::vector<SettingProblem> found;
      Settings given;
      given.set("bound", bound.value->is_scalar() ? bound.value->text : name_of(bound.value->kind));
      const Settings checked = resolve({number}, given, found);
      if (!found.empty()) {
        wrong(bound.value->place, fmt::format("'{}' {}", bound.key, found.front().text));
        continue;
      }
      const auto op = std::find(kOps.begin(), kOps.end(), bound.key) - kOps.begin();
      if (op == std::ssize(kOps)) {
        wrong(bound.place, fmt::format("unknown comparison '{}'; known: {}", bound.key, fmt::join(kOps, ", ")),
              did_you_mean(bound.key, kOps));
        continue;
      }
      condition.comparisons.emplace_back(static_cast<Rule::Op>(op), checked.real("bound"));
    }
  }

  const Catalog& catalog_;
  Diagnostics& problems_;
  Rule rule_;
  bool failed_ = false;
};

std::optional<Rule> Rule::read(const YamlNode& node, const Catalog& catalog, Diagnostics& problems) {
  return RuleReader(catalog, problems).read(node);
}

std::vector<std::string> Rule::keys() const {
  std::vector<std::string> keys;
  for (const Condition& condition : conditions_) keys.push_back(condition.key);
  return keys;
}

bool Rule::holds(const Condition& condition, const Value& value) {
  if (condition.presence) return condition.plain.contains(value.text != nullptr ? "on" : "off");
  if (value.text == nullptr) return false;
  if (value.setting == nullptr) return condition.plain.contains(*value.text);
  if (condition.comparisons.empty()) {
    const auto values = condition.canonical.find(value.setting);
    return values != condition.canonical.end() && values->second.contains(*value.text);
  }
  if (!value.number) return false;
  return std::all_of(condition.comparisons.begin(), condition.comparisons.end(), [&](const auto& comparison) {
    switch (comparison.first) {
      case Op::Lt:
        return *value.number < comparison.second;
      case Op::Le:
        return *value.number <= comparison.second;
      case Op::Gt:
        return *value.number > comparison.second;
      case Op::Ge:
        return *value.number >= comparison.second;
      case Op::Eq:
        return *value.number == comparison.second;
      case Op::Ne:
        return *value.number != comparison.second;
    }
    return false;
  });
}

}  // namespace winnow
