#include "experiments/settings_table.h"

#include <algorithm>
#include <utility>

namespace winnow {

TextPool::Id TextPool::id_of(std::string_view text) {
  if (const auto known = ids_.find(text); known != ids_.end()) return known->second;
  const auto id = static_cast<Id>(texts_.size());
  ids_.emplace(texts_.emplace_back(text), id);
  return id;
}

TextPool::Packed TextPool::packed() const {
  Packed all;
  for (const std::string& text : texts_) {
    all.lengths.push_back(static_cast<std::uint32_t>(text.size()));
    all.text.insert(all.text.end(), text.begin(), text.end());
  }
  return all;
}

TextPool TextPool::unpacked(const Packed& packed) {
  TextPool pool;
  std::size_t at = 0;
  for (const std::uint32_t length : packed.lengths) {
    pool.texts_.emplace_back(packed.text.data() + at, length);
    at += length;
  }
  return pool;
}

std::span<const SettingsTable::Entry> SettingsTable::shape(std::uint32_t at) const {
  const std::size_t begin = at == 0 ? 0 : shape_ends_[at - 1];
  return std::span(entries_).subspan(begin, shape_ends_[at] - begin);
}

std::span<const SettingsTable::Change> SettingsTable::changes(Row row) const {
  const std::size_t begin = row == 0 ? 0 : rows_[row - 1].changes_end;
  return std::span(changes_).subspan(begin, rows_[row].changes_end - begin);
}

SettingsTable::Row SettingsTable::add(const Settings& settings, TextPool& texts) {
  std::vector<TextPool::Id> keys, values;
  for (const auto& [key, text] : settings.values()) {
    keys.push_back(texts.id_of(key));
    values.push_back(texts.id_of(text));
  }
  const auto [known, is_new] = by_keys_.try_emplace(keys, static_cast<std::uint32_t>(shape_ends_.size()));
  if (is_new) {
    for (std::size_t i = 0; i < keys.size(); ++i) entries_.push_back({keys[i], values[i]});
    shape_ends_.push_back(static_cast<std::uint32_t>(entries_.size()));
  }
  const std::span<const Entry> first = shape(known->second);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] != first[i].text) changes_.push_back({static_cast<std::uint32_t>(i), values[i]});
  }
  rows_.push_back({known->second, static_cast<std::uint32_t>(changes_.size())});
  return static_cast<Row>(rows_.size() - 1);
}

Settings SettingsTable::settings(Row row, const TextPool& texts) const {
  Settings::Values values;
  for (const Entry& entry : shape(rows_[row].shape))
    values.emplace_hint(values.end(), texts[entry.key], texts[entry.text]);
  Settings settings(values);
  for (const Change& change : changes(row))
    settings.set(texts[shape(rows_[row].shape)[change.at].key], texts[change.text]);
  return settings;
}

const std::string* SettingsTable::find(Row row, std::string_view key, const TextPool& texts) const {
  const std::span<const Entry> entries = shape(rows_[row].shape);
  const auto found = std::ranges::lower_bound(entries, key, {},
                                              [&](const Entry& entry) { return std::string_view(texts[entry.key]); });
  if (found == entries.end() || texts[found->key] != key) return nullptr;
  const auto at = static_cast<std::uint32_t>(found - entries.begin());
  const std::span<const Change> changed = changes(row);
  const auto change = std::ranges::lower_bound(changed, at, {}, &Change::at);
  return &texts[change != changed.end() && change->at == at ? change->text : found->text];
}

std::set<std::string> SettingsTable::varying(const TextPool& texts) const {
  struct Seen {
    std::size_t shapes = 0;
    TextPool::Id text = 0;
    bool varies = false;
  };
  std::map<TextPool::Id, Seen> keys;
  for (std::uint32_t at = 0; at < shape_ends_.size(); ++at) {
    for (const Entry& entry : shape(at)) {
      Seen& seen = keys[entry.key];
      if (seen.shapes++ > 0 && seen.text != entry.text) seen.varies = true;
      seen.text = entry.text;
    }
  }
  for (Row row = 0; row < rows_.size(); ++row) {
    for (const Change& change : changes(row)) keys[shape(rows_[row].shape)[change.at].key].varies = true;
  }
  std::set<std::string> varying;
  for (const auto& [key, seen] : keys) {
    if (seen.varies || seen.shapes < shape_ends_.size()) varying.insert(texts[key]);
  }
  return varying;
}

std::vector<SettingsTable::Row> SettingsTable::distinct(std::string_view prefix, std::span<const char> wanted,
                                                        const TextPool& texts) const {
  std::vector<Row> found;
  std::set<std::vector<TextPool::Id>> seen;
  std::vector<char> seen_unchanged(shape_ends_.size(), 0);  // by shape: a row that is as its first one there
  for (Row row = 0; row < rows_.size(); ++row) {
    if (wanted[row] == 0) continue;
    const std::span<const Entry> entries = shape(rows_[row].shape);
    const auto concerns = [&](std::uint32_t at) { return texts[entries[at].key].starts_with(prefix); };
    const bool changed = std::ranges::any_of(changes(row), concerns, &Change::at);
    if (!changed && std::exchange(seen_unchanged[rows_[row].shape], 1) != 0) continue;
    std::vector<TextPool::Id> ids;
    for (const Entry& entry : entries) ids.push_back(entry.text);
    for (const Change& change : changes(row)) ids[change.at] = change.text;
    std::vector<TextPool::Id> own;
    for (std::uint32_t at = 0; at < entries.size(); ++at) {
      if (concerns(at)) own.insert(own.end(), {entries[at].key, ids[at]});
    }
    if (seen.insert(std::move(own)).second) found.push_back(row);
  }
  return found;
}

}  // namespace winnow
