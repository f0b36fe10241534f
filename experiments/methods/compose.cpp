#include "experiments/methods/compose.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "experiments/methods/composite.h"
#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/density.h"

namespace winnow {
namespace {

Settings resolved(const MethodDef& def, const Settings& given, const std::string& prefix) {
  std::vector<SettingProblem> problems;
  Settings settings = resolve(def.schema, given, problems);
  if (!problems.empty()) {
    fail(ErrorKind::Settings, "{}.{}: {}", prefix, problems.front().key, problems.front().text);
  }
  return settings;
}

// The first two parts that touch the same.
std::optional<std::pair<std::string, std::string>> two_with(const std::vector<Composite::Part>& parts,
                                                            bool Touches::*what) {
  const std::string* first = nullptr;
  for (const Composite::Part& part : parts) {
    if (!(part.method->touches().*what)) continue;
    if (first != nullptr) return std::pair(*first, part.name);
    first = &part.name;
  }
  return std::nullopt;
}

}  // namespace

std::vector<MethodPart> method_parts(const Settings& method) {
  const std::string& name = method.text("name");
  const MethodDef& def = find_method(name);
  Settings own;
  std::set<std::string> with;
  for (const auto& [key, value] : method.values()) {
    if (key == "name") continue;
    if (!key.starts_with("with.")) {
      own.set(key, value);
      continue;
    }
    const std::string rest = key.substr(5);
    const std::size_t dot = rest.find('.');
    if (dot == std::string::npos && value == "off") continue;
    with.insert(rest.substr(0, dot));
  }
  std::vector<MethodPart> parts = {{name, resolved(def, own, "method")}};
  for (const std::string& other : with) {
    const std::string key = "with." + other;
    if (method.has(key) && method.text(key) == "off") continue;
    parts.push_back({other, resolved(find_method(other), method.below(key), "method." + key)});
  }
  return parts;
}

std::optional<std::string> cannot_compose(const std::vector<Composite::Part>& parts) {
  for (std::size_t i = 0; i < parts.size(); ++i) {
    for (std::size_t j = i + 1; j < parts.size(); ++j) {
      if (parts[i].name == parts[j].name) return fmt::format("{} is given twice", parts[i].name);
    }
  }
  const std::pair<bool Touches::*, const char*> exclusive[] = {
      {&Touches::phases, "direct repeated training runs"},
      {&Touches::masks, "decide which weights are kept"},
      {&Touches::weights_source, "replace what the layers read as their weights"}};
  for (const auto& [what, does] : exclusive) {
    if (const auto pair = two_with(parts, what)) {
      return fmt::format("{} and {} both {}", pair->first, pair->second, does);
    }
  }
  return std::nullopt;
}

std::unique_ptr<Method> make_method(const Settings& method) {
  std::vector<Composite::Part> parts;
  for (const MethodPart& part : method_parts(method)) {
    parts.push_back({part.name, find_method(part.name).make(part.settings)});
  }
  if (const auto reason = cannot_compose(parts)) fail(ErrorKind::Settings, "method.with: {}", *reason);
  if (parts.size() == 1) return std::move(parts.front().method);
  return std::make_unique<Composite>(std::move(parts));
}

std::optional<std::string> check_density(const Model& model, const Settings& method) {
  try {
    for (const MethodPart& part : method_parts(method)) {
      if (!part.settings.has("layer_density") || !part.settings.has("density")) continue;
      const std::vector<PrunedTensor> tensors = pruned_tensors(model.params);
      density_target(part.settings, tensors, scope_of(part.settings)).counts(tensors);
    }
  } catch (const Error& error) {
    return error.what();
  }
  return std::nullopt;
}

}  // namespace winnow
