#include "experiments/sweep/rule_book.h"

#include "experiments/sweep/catalog_keys.h"

namespace winnow {
namespace {

std::optional<double> number_of(const Setting& setting, const Settings& settings, const std::string& key) {
  using Kind = Setting::Kind;
  if (settings.text(key).empty()) return std::nullopt;
  if (setting.kind == Kind::Length) return static_cast<double>(settings.length(key).count);
  if (setting.kind == Kind::Int || setting.kind == Kind::Real) return settings.real(key);
  return std::nullopt;
}

}  // namespace

void RuleBook::add(Rule rule, bool keeps) {
  Entry entry{std::move(rule), keeps, {}};
  for (const std::string& key : entry.rule.keys()) {
    entry.values.push_back(keys_.try_emplace(key, keys_.size()).first->second);
  }
  rules_.push_back(std::move(entry));
  values_.resize(keys_.size());
}

Rule::Value RuleBook::look_up(const std::string& key, const TrialSpec& spec) const {
  Rule::Value value;
  value.text = spec.settings.find(key);
  if (value.text == nullptr) return value;
  value.setting = setting_of(catalog_, spec.settings, key);
  if (value.setting != nullptr) value.number = number_of(*value.setting, spec.settings, key);
  return value;
}

std::optional<std::size_t> RuleBook::leaving_out(const TrialSpec& spec, bool with_keeping) {
  for (const auto& [key, at] : keys_) values_[at] = look_up(key, spec);
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    const Entry& entry = rules_[i];
    if (entry.keeps && !with_keeping) continue;
    const bool matches = entry.rule.matches(
        [&](std::size_t condition) -> const Rule::Value& { return values_[entry.values[condition]]; });
    if (matches != entry.keeps) return i;
  }
  return std::nullopt;
}

}  // namespace winnow
