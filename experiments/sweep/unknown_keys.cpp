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
std::string hint_for_section(const Entry& entry, const Schema& schema) {
  std::vector<std::string> members;
  for (const Setting& setting : schema) {
    if (!setting.key.starts_with(entry.key + ".")) continue;
    const std::string member = setting.key.substr(entry.key.size() + 1);
    if (std::ranges::find(setting.choices, entry.text) != setting.choices.end()) {
      return fmt::format("'{0}' is a map: '{0}: {{{1}: {2}}}'", entry.key, member, entry.text);
    }
    members.push_back(member);
  }
  if (members.empty()) return {};
  return fmt::format("'{}' is a map of {}   (winnow explain {})", entry.key, fmt::join(members, ", "), entry.key);
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
  std::string hint = hint_for_section(entry, catalog_.trial);
  if (hint.empty()) hint = did_you_mean_key(entry.key, candidates);
  // The last part of a key in another section or in none, as in the settings of other tools.
  const std::string leaf = entry.key.substr(entry.key.rfind('.') + 1);
  const auto whole = std::ranges::find_if(candidates, [&](const auto& key) { return key.ends_with("." + leaf); });
  if (hint.empty() && whole != candidates.end()) hint = suggestion(*whole);
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
