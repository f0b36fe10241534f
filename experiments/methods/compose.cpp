#include "experiments/methods/compose.h"

#include <algorithm>
#include <functional>
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

// The first two of `names` for which `has` holds.
std::optional<std::pair<std::string, std::string>> two_with(const std::vector<std::string>& names,
                                                            const std::function<bool(const MethodDef&)>& has) {
  std::vector<std::string> found;
  for (const std::string& name : names) {
    if (has(find_method(name))) found.push_back(name);
  }
  if (found.size() < 2) return std::nullopt;
  return std::pair(found[0], found[1]);
}

bool masks(const MethodDef& def) { return def.touches.masks; }

// Why these methods do not work together as they are set, or nothing.
std::optional<std::string> settings_conflict(const std::vector<Composite::Part>& parts) {
  for (const Composite::Part& a : parts) {
    for (const Composite::Part& b : parts) {
      if (&a == &b) continue;
      const Touches touches = b.method->touches();
      if (a.method->touches().redraws && touches.weights_source) {
        return fmt::format(
            "{} draws initial weights anew, but {} has computed its start from the first ones; "
            "leave "
            "out one of them",
            a.name, b.name);
      }
      if (a.method->decays_frozen() && touches.adds_decay) {
        return fmt::format(
            "{} decays frozen weights, but {} with fixed coefficients adds the decay to the "
            "gradient, which frozen weights do not take",
            a.name, b.name);
      }
    }
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

std::optional<std::string> cannot_compose(const std::vector<std::string>& names) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (std::find(names.begin() + static_cast<std::ptrdiff_t>(i) + 1, names.end(), names[i]) != names.end()) {
      return fmt::format("{} is given twice", names[i]);
    }
  }
  if (const auto pair = two_with(names, [](const MethodDef& def) { return def.phases; })) {
    return fmt::format("{} and {} both direct repeated training runs", pair->first, pair->second);
  }
  if (const auto pair = two_with(names, masks)) {
    return fmt::format("{} and {} both decide which weights are kept", pair->first, pair->second);
  }
  if (const auto pair = two_with(names, [](const MethodDef& def) { return def.touches.weights_source; })) {
    return fmt::format("{} and {} both replace what the layers read as their weights", pair->first, pair->second);
  }
  // Its scores choose among frozen weights, so a mask beside them would choose twice.
  const auto pair = two_with(names, [](const MethodDef& def) { return def.name == "edge_popup" || masks(def); });
  if (pair) {
    return fmt::format("{} and {} both decide which weights are kept", pair->first, pair->second);
  }
  return std::nullopt;
}

std::unique_ptr<Method> make_method(const Settings& method) {
  const std::vector<MethodPart> parts = method_parts(method);
  std::vector<std::string> names;
  for (const MethodPart& part : parts) names.push_back(part.name);
  if (const auto reason = cannot_compose(names)) {
    fail(ErrorKind::Settings, "method.with: {}", *reason);
  }
  if (parts.size() == 1) return find_method(names.front()).make(parts.front().settings);
  std::vector<Composite::Part> made;
  for (const MethodPart& part : parts) {
    const MethodDef& def = find_method(part.name);
    made.push_back({part.name, def.make(part.settings), def.phases});
  }
  if (const auto reason = settings_conflict(made)) {
    fail(ErrorKind::Settings, "method.with: {}", *reason);
  }
  return std::make_unique<Composite>(std::move(made));
}

std::optional<std::string> check_density(const Model& model, const Settings& method) {
  try {
    for (const MethodPart& part : method_parts(method)) {
      if (!part.settings.has("layer_density")) continue;
      const std::vector<PrunedTensor> tensors = pruned_tensors(model);
      density_target(part.settings, tensors, scope_of(part.settings)).counts(tensors);
    }
  } catch (const Error& error) {
    return error.what();
  }
  return std::nullopt;
}

}  // namespace winnow
