#include "experiments/sweep/entries.h"

#include <map>
#include <string_view>

namespace winnow {
namespace {

bool names_composed_method(std::string_view key) {
  const std::string start = std::string(kWith) + ".";
  return key.starts_with(start) && key.find('.', start.size()) == std::string_view::npos;
}

void flatten_into(const YamlNode& map, const std::string& prefix, Diagnostics& problems, std::vector<Entry>& entries) {
  for (const Member& member : map.members) {
    const std::string key = prefix.empty() ? member.key : prefix + "." + member.key;
    const YamlNode& value = *member.value;
    if (key == kWith && (value.is_list() || value.is_scalar())) {
      // `with: [interspace]`: methods with their defaults.
      const std::vector<NodePtr> items = value.is_list() ? value.items : std::vector<NodePtr>{member.value};
      for (const NodePtr& item : items) {
        if (item->is_scalar()) {
          entries.push_back({key + "." + item->text, "on", item->place, item->place});
        } else {
          problems.error(item->place, fmt::format("'{}' is a list of method names", key));
        }
      }
    } else if (names_composed_method(key) && (value.is_null() || (value.is_map() && value.members.empty()))) {
      entries.push_back({key, "on", member.place, member.place});
    } else if (value.is_map()) {
      flatten_into(value, key, problems, entries);
    } else if (auto text = value_text(value, key, problems)) {
      entries.push_back({key, std::move(*text), member.place, value.place});
    }
  }
}

}  // namespace

std::optional<std::string> value_text(const YamlNode& node, const std::string& key, Diagnostics& problems) {
  if (node.is_scalar()) return node.text;
  if (!node.is_list()) {
    problems.error(node.place, node.is_null() ? fmt::format("'{}' has no value", key)
                                              : fmt::format("'{}' must be a value or a list", key));
    return std::nullopt;
  }
  std::string text = "[";
  for (const NodePtr& item : node.items) {
    if (!item->is_scalar() || item->text.find_first_of(",[]") != std::string::npos) {
      problems.error(item->place, fmt::format("an item of '{}' must be a plain value without ',', '[' or ']'", key));
      return std::nullopt;
    }
    text += (text.size() > 1 ? ", " : "") + item->text;
  }
  return text + "]";
}

std::vector<Entry> flatten(const YamlNode& map, const std::string& prefix, Diagnostics& problems) {
  std::vector<Entry> all, entries;
  flatten_into(map, prefix, problems, all);
  std::map<std::string, Place, std::less<>> seen;
  for (Entry& entry : all) {
    const auto [first, is_new] = seen.emplace(entry.key, entry.key_place);
    if (is_new) {
      entries.push_back(std::move(entry));
    } else {
      problems.error(entry.key_place,
                     fmt::format("key '{}' is given twice, first in line {}", entry.key, first->second.line));
    }
  }
  return entries;
}

void merge_entries(std::vector<Entry>& earlier, std::vector<Entry> later) {
  std::map<std::string, std::size_t, std::less<>> index;
  for (std::size_t i = 0; i < earlier.size(); ++i) index[earlier[i].key] = i;
  for (Entry& entry : later) {
    const auto found = index.find(entry.key);
    if (found == index.end()) {
      earlier.push_back(std::move(entry));
    } else {
      earlier[found->second] = std::move(entry);
    }
  }
}

}  // namespace winnow
