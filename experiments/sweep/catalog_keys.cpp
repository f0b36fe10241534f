#include "experiments/sweep/catalog_keys.h"

#include <algorithm>

#include "experiments/sweep/entries.h"

namespace winnow {

const Component* find_component(const std::vector<Component>& all, std::string_view name) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const Component& c) { return c.name == name; });
  return found == all.end() ? nullptr : &*found;
}

std::vector<std::string> names_of(const std::vector<Component>& all) {
  std::vector<std::string> names;
  for (const Component& component : all) names.push_back(component.name);
  return names;
}

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

const std::vector<Component>& components_of(const Catalog& catalog, std::string_view kind) {
  return kind == "data" ? catalog.datasets : kind == "model" ? catalog.models : catalog.methods;
}

const Setting* setting_of(const Catalog& catalog, const Settings& trial, std::string_view key) {
  const KeyParts parts = take_apart(key);
  if (parts.kind.empty()) return find_setting(catalog.trial, key);
  const std::string name_key = parts.kind + ".name";
  if (parts.with.empty() && !trial.has(name_key)) return nullptr;
  const std::string& name = parts.with.empty() ? trial.text(name_key) : parts.with;
  const Component* component = find_component(components_of(catalog, parts.kind), name);
  return component ? find_setting(component->schema, parts.rest) : nullptr;
}

std::vector<const Setting*> settings_named(const Catalog& catalog, std::string_view key) {
  const KeyParts parts = take_apart(key);
  std::vector<const Setting*> found;
  if (parts.kind.empty()) {
    if (const Setting* setting = find_setting(catalog.trial, key)) found.push_back(setting);
    return found;
  }
  for (const Component& component : components_of(catalog, parts.kind)) {
    if (!parts.with.empty() && component.name != parts.with) continue;
    if (const Setting* setting = find_setting(component.schema, parts.rest)) found.push_back(setting);
  }
  return found;
}

}  // namespace winnow
