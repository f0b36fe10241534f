#include "experiments/trial.h"

#include <algorithm>
#include <sstream>

namespace winnow {

std::string canonical_of(const Settings& identity) {
  std::vector<std::string> lines;
  for (const auto& [key, value] : identity.values()) lines.push_back(key + "=" + value + "\n");
  std::ranges::sort(lines);  // not quite the order of the keys: "a.b=" comes before "a="
  std::string text;
  for (const std::string& line : lines) text += line;
  return text;
}

std::string TrialSpec::canonical() const { return canonical_of(identity); }

bool is_of_the_device(std::string_view key) { return key == "train.device" || key == "train.fuse_statistics"; }

bool in_identity(std::string_view key) {
  const std::size_t dot = key.rfind('.');
  const std::string_view leaf = dot == std::string_view::npos ? key : key.substr(dot + 1);
  return key != "ranks" && key != "label" && !is_of_the_device(key) && !key.starts_with("save.") && leaf != "root";
}

Settings identity_of(const std::string& canonical) {
  Settings identity;
  std::istringstream lines(canonical);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t equals = std::min(line.find('='), line.size());
    identity.set(line.substr(0, equals), line.substr(std::min(equals + 1, line.size())));
  }
  return identity;
}

std::optional<Outcome> outcome_named(std::string_view name) {
  for (const Outcome outcome : {Outcome::Done, Outcome::Diverged, Outcome::Stopped}) {
    if (name == name_of(outcome)) return outcome;
  }
  return std::nullopt;
}

const char* name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::Done:
      return "done";
    case Outcome::Diverged:
      return "diverged";
    case Outcome::Failed:
      return "failed";
    case Outcome::Stopped:
      return "stopped";
  }
  return "unknown";
}

}  // namespace winnow
