#include "experiments/sweep/unknown_keys.h"

#include <algorithm>

#include "experiments/sweep/catalog_keys.h"
#include "experiments/sweep/hints.h"

namespace winnow {
namespace {

std::string suggestion(const std::string& key) {
  return fmt::format("did you mean '{}'?   (winnow explain {})", key, key);
}

// `train.schedule: cosine`, where train.schedule.kind may be cosine.
std::string hint_for_section(const std::string& key, const std::string& value, const Schema& schema) {
  std::vector<std::string> members;
  for (const Setting& setting : schema) {
    if (!setting.key.starts_with(key + ".")) continue;
    const std::string member = setting.key.substr(key.size() + 1), choice = in_small_letters(value);
    if (std::ranges::find(setting.choices, choice) != setting.choices.end()) {
      return fmt::format("'{0}' is a map: '{0}: {{{1}: {2}}}'", key, member, choice);
    }
    members.push_back(member);
  }
  if (members.empty()) return {};
  return fmt::format("'{}' is a map of {}   (winnow explain {})", key, fmt::join(members, ", "), key);
}

// "train.schedule" of "train.schedule.kind".
std::vector<std::string> sections_of(const Schema& schema) {
  std::vector<std::string> sections;
  for (const Setting& setting : schema) sections.push_back(setting.key.substr(0, setting.key.rfind('.')));
  return sections;
}

// A key with the same last part, as in the settings of other tools: for one without a section any that somebody reads, else one
// of the trial's own, of the same section first. A name is no setting that belongs elsewhere.
std::string of_same_leaf(const std::string& key, const std::vector<std::string>& all, const Schema& trial) {
  const std::size_t dot = key.rfind('.');
  const std::string end = "." + (dot == std::string::npos ? key : key.substr(dot + 1));
  if (end == ".name") return {};
  std::vector<std::string> found;
  const auto keep = [&](const std::string& other) {
    if (other.ends_with(end)) found.push_back(other);
  };
  if (dot == std::string::npos) std::ranges::for_each(all, keep);
  for (const Setting& setting : trial) keep(setting.key);
  const std::string section = key.substr(0, key.find('.') + 1);
  std::stable_partition(found.begin(), found.end(), [&](const auto& other) { return other.starts_with(section); });
  return found.empty() ? std::string() : found.front();
}

}  // namespace

std::string did_you_mean_key(const std::string& key, const std::vector<std::string>& keys) {
  const auto near = nearest(key, keys);
  return near ? suggestion(*near) : std::string();
}

const FoundProblem& UnknownKeys::problem(const Entry& entry, const std::string& reader) {
  const auto [known, is_new] = known_.try_emplace({&entry, reader});
  if (is_new) known->second = describe(entry, reader);
  return known->second;
}

FoundProblem UnknownKeys::describe(const Entry& entry, const std::string& reader) const {
  const KeyParts parts = take_apart(entry.key);
  std::vector<std::string> readers, candidates;
  for (const Setting& setting : catalog_.trial) candidates.push_back(setting.key);
  for (const std::string kind : {"data", "model", "method"}) {
    candidates.push_back(kind + ".name");
    for (const Component& component : components_of(catalog_, kind)) {
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
  std::string hint;
  if (const auto section = nearest(entry.key, sections_of(catalog_.trial))) {
    hint = hint_for_section(*section, entry.text, catalog_.trial);
  }
  if (hint.empty()) hint = did_you_mean_key(entry.key, candidates);
  if (hint.empty()) {
    const std::string other = of_same_leaf(entry.key, candidates, catalog_.trial);
    if (!other.empty()) hint = suggestion(other);
  }
  return {entry.key_place, fmt::format("unknown key '{}'", entry.key), std::move(hint)};
}

// A misspelt section is one mistake, however many keys are below it.
std::optional<FoundProblem> UnknownKeys::unknown_section(const Entry& entry, const std::string& section) const {
  std::vector<std::string> known = {"data", "model", "method"};
  for (const Setting& setting : catalog_.trial) known.push_back(setting.key.substr(0, setting.key.find('.')));
  if (section == entry.key || std::ranges::find(known, section) != known.end()) return std::nullopt;
  return FoundProblem{entry.key_place, fmt::format("unknown section '{}' of the key '{}'", section, entry.key),
                      did_you_mean(section, known)};
}

}  // namespace winnow
