// Many settings in little memory: those with equal keys are rows of one shape and hold what differs from its first row, and
// each text is held once. Rows are whole Settings only when somebody asks for them. A const table may be shared between
// threads; it can be moved, not copied.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/settings.h"

namespace winnow {

// Texts by number.
class TextPool {
 public:
  using Id = std::uint32_t;
  TextPool() = default;
  TextPool(TextPool&&) = default;
  TextPool& operator=(TextPool&&) = default;

  Id id_of(std::string_view text);  // that of an equal one, if it is there
  const std::string& operator[](Id id) const { return texts_[id]; }

  // All texts in one, and the length of each; the numbers stay.
  struct Packed {
    std::vector<std::uint32_t> lengths;
    std::vector<char> text;
  };
  Packed packed() const;
  static TextPool unpacked(const Packed& packed);

 private:
  std::deque<std::string> texts_;  // its elements stay where they are
  std::unordered_map<std::string_view, Id> ids_;
};

class SettingsTable {
 public:
  using Row = std::uint32_t;
  SettingsTable() = default;
  SettingsTable(SettingsTable&&) = default;
  SettingsTable& operator=(SettingsTable&&) = default;

  // The texts of keys and values live in `texts`, which every other call is given too.
  Row add(const Settings& settings, TextPool& texts);
  std::size_t size() const { return rows_.size(); }

  Settings settings(Row row, const TextPool& texts) const;
  const std::string* find(Row row, std::string_view key, const TextPool& texts) const;  // null if absent
  // Keys that not all rows have with one text.
  std::set<std::string> varying(const TextPool& texts) const;
  // The first of the `wanted` rows (by row: not 0) that agree in all settings whose key starts with `prefix`, for each
  // such group.
  std::vector<Row> distinct(std::string_view prefix, std::span<const char> wanted, const TextPool& texts) const;

  // All it is made of, as vectors of plain values, for whoever sends it. One that was received is read, not added to.
  template <class Each>
  void each_column(Each&& each) {
    each(shape_ends_);
    each(entries_);
    each(rows_);
    each(changes_);
  }

 private:
  struct Entry {
    TextPool::Id key, text;
  };
  struct RowEntry {
    std::uint32_t shape, changes_end;
  };
  struct Change {  // of an entry of the shape
    std::uint32_t at;
    TextPool::Id text;
  };
  std::span<const Entry> shape(std::uint32_t at) const;
  std::span<const Change> changes(Row row) const;

  std::vector<std::uint32_t> shape_ends_;  // in entries_
  std::vector<Entry> entries_;             // of all shapes, each ascending by key
  std::vector<RowEntry> rows_;
  std::vector<Change> changes_;                                 // of all rows, each ascending
  std::map<std::vector<TextPool::Id>, std::uint32_t> by_keys_;  // shapes
};

}  // namespace winnow
