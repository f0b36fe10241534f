// `winnow explain KEY`: one setting, and who reads it. The last part of a key is enough; of a section it lists the keys.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <ostream>
#include <set>
#include <sstream>

#include "core/error.h"
#include "experiments/cli/listing.h"
#include "experiments/cli/options.h"
#include "experiments/cli/verbs.h"
#include "experiments/sweep/catalog_keys.h"
#include "experiments/sweep/sweep.h"

namespace winnow {
namespace {

namespace po = boost::program_options;

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

bool explain_name(const std::string& key, std::ostream& out) {
  for (const ComponentKind& kind : kinds()) {
    if (key != fmt::format("{}.name", kind.prefix)) continue;
    std::vector<std::string> names;
    for (const Component& component : *kind.components) names.push_back(component.name);
    out << fmt::format("  {:<26} one of {}; required\n  {:<26} see winnow {}\n", key, fmt::join(names, ", "), "",
                       kind.verb);
    return true;
  }
  return false;
}

// Readers that declare the same setting in the same words are shown together.
bool explain_component_key(const std::string& key, std::ostream& out) {
  bool found = false;
  for (const ComponentKind& kind : kinds()) {
    const std::string prefix = fmt::format("{}.", kind.prefix);
    if (!key.starts_with(prefix)) continue;
    std::vector<std::pair<std::string, std::vector<std::string>>> groups;
    for (const Component& component : *kind.components) {
      for (const Setting& setting : component.schema) {
        if (prefix + setting.key != key) continue;
        const std::string text = setting_text(setting, key);
        auto group = std::ranges::find(groups, text, &decltype(groups)::value_type::first);
        if (group == groups.end()) group = groups.insert(groups.end(), {text, {}});
        group->second.push_back(component.name);
      }
    }
    for (const auto& [text, readers] : groups) {
      out << text << fmt::format("  {:<26} read by {}\n", "", fmt::join(readers, ", "));
      found = true;
    }
  }
  return found;
}

bool explain_word(const std::string& key, std::ostream& out) {
  const auto word = words().find(key);
  if (word == words().end()) return false;
  std::istringstream lines(word->second);
  std::string line;
  for (std::string shown = key; std::getline(lines, line); shown.clear())
    out << fmt::format("  {:<26} {}\n", shown, line);
  return true;
}

// The first words that are said of a setting: type and default.
std::string first_line(const std::string& key);

// "train" and "train.schedule" are no settings, but have some.
bool explain_section(const std::string& section, std::ostream& out) {
  std::vector<std::string> keys;
  for (const std::string& key : setting_keys()) {
    if (key.starts_with(section + ".")) keys.push_back(key);
  }
  if (keys.empty()) return false;
  for (const std::string& key : keys) out << first_line(key);
  out << fmt::format("\nwinnow explain {} says more of one\n", keys.front());
  return true;
}

bool explain(const std::string& key, std::ostream& out) {
  if (explain_word(key, out) || explain_name(key, out) || explain_component_key(key, out)) return true;
  const auto settings = settings_named(sweep_catalog(), key);
  if (settings.empty()) return false;
  out << setting_text(*settings.front(), key);
  return true;
}

std::string first_line(const std::string& key) {
  std::ostringstream all;
  explain(key, all);
  const std::string text = all.str();
  return text.substr(0, text.find('\n') + 1);
}

// "lr" is enough for train.lr.
bool explain_last_part(const std::string& part, std::ostream& out) {
  std::set<std::string> keys;
  for (const std::string& key : setting_keys()) {
    if (key.ends_with("." + part)) keys.insert(key);
  }
  for (const std::string& key : keys) explain(key, out);
  return !keys.empty();
}

}  // namespace

void add_explain_options(VerbOptions& options) {
  options.add_options()("key", po::value<std::string>(), "a setting such as train.lr, or a section such as train");
}

int run_explain(std::span<const std::string> args, std::ostream& out, std::ostream&) {
  const auto parsed = parse_arguments("explain", args, out);
  if (!parsed) return 0;
  const po::variables_map& given = *parsed;
  if (!given.contains("key")) fail(ErrorKind::Usage, "which setting?   (usage: winnow explain KEY)");
  const std::string key = given["key"].as<std::string>();
  if (explain(key, out) || explain_section(key, out) || explain_last_part(key, out)) return 0;
  fail(ErrorKind::Usage, "no setting '{}'{}", key, did_you_mean(key, setting_keys(), "; "));
}

}  // namespace winnow
