// `winnow explain KEY`: one setting, and who reads it. The last part of a key is enough; of a section it lists the keys.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>
#include <set>
#include <sstream>

#include "core/error.h"
#include "experiments/cli/json_output.h"
#include "experiments/cli/listing.h"
#include "experiments/cli/options.h"
#include "experiments/cli/verbs.h"
#include "experiments/sweep/catalog_keys.h"
#include "experiments/sweep/sweep.h"

namespace winnow {
namespace {

namespace po = boost::program_options;
using ExplainJson = nlohmann::ordered_json;

// What is to be said of a key, for people and for programs.
struct Explanation {
  std::string text;
  ExplainJson json;
};
using Explanations = std::vector<Explanation>;  // none: it is no such key

struct ComponentKind {
  const char* prefix;
  const char* verb;
  const std::vector<Component>* components;
};

std::vector<ComponentKind> kinds() {
  const Catalog& all = catalog();
  return {{"data", "datasets", &all.datasets}, {"model", "models", &all.models}, {"method", "methods", &all.methods}};
}

const Catalog& sweep_catalog() {
  static const Catalog all = with_sweep_settings(catalog());
  return all;
}

// What a sweep file may say that is no setting of a trial.
const std::map<std::string, const char*>& words() {
  static const std::map<std::string, const char*> all = {
      {"method.with",
       "methods that work together with the trial's method, with their settings:\n"
       "with: {interspace: {sharing: fine}}; with: [interspace] takes their defaults"},
      {"replicate",
       "an axis, '- replicate: 3': every trial three times, with the seeds of 0, 1 and 2;\n"
       "no part of a trial's id"},
      {"stop.nonfinite",
       "stop, the default: a trial with a loss, weight or running statistic that is infinite or NaN ends as diverged"}};
  return all;
}

}  // namespace

std::vector<std::string> setting_keys() {
  std::vector<std::string> keys;
  for (const auto& [word, meaning] : words()) keys.push_back(word);
  for (const Setting& setting : sweep_catalog().trial) keys.push_back(setting.key);
  for (const ComponentKind& kind : kinds()) {
    keys.push_back(fmt::format("{}.name", kind.prefix));
    for (const Component& component : *kind.components) {
      for (const Setting& setting : component.schema) keys.push_back(fmt::format("{}.{}", kind.prefix, setting.key));
    }
  }
  std::ranges::sort(keys);
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

namespace {

Explanations explain_name(const std::string& key) {
  for (const ComponentKind& kind : kinds()) {
    if (key != fmt::format("{}.name", kind.prefix)) continue;
    std::vector<std::string> names;
    for (const Component& component : *kind.components) names.push_back(component.name);
    const std::string more = fmt::format("see winnow {}", kind.verb);
    return {{fmt::format("  {:<26} one of {}; required\n  {:<26} {}\n", key, fmt::join(names, ", "), "", more),
             {{"key", key},
              {"type", name_of(Setting::Kind::Choice)},
              {"default", ExplainJson()},
              {"choices", names},
              {"meaning", more}}}};
  }
  return {};
}

// Readers that declare the same setting in the same words are shown together.
Explanations explain_component_key(const std::string& key) {
  struct Readers {
    const Setting* setting;
    std::string text;
    std::vector<std::string> names;
  };
  Explanations found;
  for (const ComponentKind& kind : kinds()) {
    const std::string prefix = fmt::format("{}.", kind.prefix);
    if (!key.starts_with(prefix)) continue;
    std::vector<Readers> groups;
    for (const Component& component : *kind.components) {
      for (const Setting& setting : component.schema) {
        if (prefix + setting.key != key) continue;
        const std::string text = setting_text(setting, key);
        auto group = std::ranges::find(groups, text, &Readers::text);
        if (group == groups.end()) group = groups.insert(groups.end(), {&setting, text, {}});
        group->names.push_back(component.name);
      }
    }
    for (const Readers& group : groups) {
      ExplainJson json = setting_json(*group.setting, key);
      json["read_by"] = group.names;
      found.push_back({group.text + fmt::format("  {:<26} read by {}\n", "", fmt::join(group.names, ", ")), json});
    }
  }
  return found;
}

Explanations explain_word(const std::string& key) {
  const auto word = words().find(key);
  if (word == words().end()) return {};
  std::istringstream lines(word->second);
  std::string line, text;
  for (std::string shown = key; std::getline(lines, line); shown.clear()) {
    text += fmt::format("  {:<26} {}\n", shown, line);
  }
  return {{text, {{"key", key}, {"meaning", word->second}}}};
}

Explanations explain(const std::string& key) {
  for (const auto& look : {explain_word, explain_name, explain_component_key}) {
    if (Explanations found = look(key); !found.empty()) return found;
  }
  const auto settings = settings_named(sweep_catalog(), key);
  if (settings.empty()) return {};
  return {{setting_text(*settings.front(), key), setting_json(*settings.front(), key)}};
}

// Of all keys that it is true of.
Explanations explain_where(const std::function<bool(const std::string&)>& is_meant) {
  Explanations found;
  for (const std::string& key : setting_keys()) {
    if (is_meant(key)) std::ranges::move(explain(key), std::back_inserter(found));
  }
  return found;
}

// "train" and "train.schedule" are no settings, but have some.
Explanations explain_section(const std::string& section) {
  return explain_where([&](const std::string& key) { return key.starts_with(section + "."); });
}

// "lr" is enough for train.lr.
Explanations explain_last_part(const std::string& part) {
  return explain_where([&](const std::string& key) { return key.ends_with("." + part); });
}

// Of each key the first words that are said of it: type and default.
void print_section(std::ostream& out, const Explanations& found) {
  std::set<std::string> keys;
  for (const auto& [text, json] : found) {
    if (keys.insert(json["key"]).second) out << text.substr(0, text.find('\n') + 1);
  }
  out << fmt::format("\nwinnow explain {} says more of one\n", *keys.begin());
}

}  // namespace

void add_explain_options(VerbOptions& options) {
  options.add_options()("key", po::value<std::string>(), "a setting such as train.lr, or a section such as train")(
      "json", "one JSON object");
}

int run_explain(std::span<const std::string> args, std::ostream& out, std::ostream&) {
  const auto parsed = parse_arguments("explain", args, out);
  if (!parsed) return 0;
  const po::variables_map& given = *parsed;
  if (!given.contains("key")) fail(ErrorKind::Usage, "which setting?   (usage: winnow explain KEY)");
  const std::string key = given["key"].as<std::string>();
  Explanations found = explain(key);
  const bool is_section = found.empty() && !(found = explain_section(key)).empty();
  if (found.empty()) found = explain_last_part(key);
  if (found.empty()) fail(ErrorKind::Usage, "no setting '{}'{}", key, did_you_mean(key, setting_keys(), "; "));
  if (given.contains("json")) {
    ExplainJson json = {{"schema", "winnow-explain"}, {"schema_version", "1.0"}};
    json["settings"] = ExplainJson::array();
    for (const Explanation& each : found) json["settings"].push_back(each.json);
    write_json(out, json);
  } else if (is_section) {
    print_section(out, found);
  } else {
    for (const Explanation& each : found) out << each.text;
  }
  return 0;
}

}  // namespace winnow
