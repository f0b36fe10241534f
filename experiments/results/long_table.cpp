#include "experiments/results/long_table.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "experiments/results/container.h"

namespace winnow {
namespace {

std::size_t length(const LongTable::LongColumn& column) {
  return std::visit([](const auto& values) { return values.size(); }, column.values);
}

void become_real(LongTable::LongColumn& column) {
  if (const auto* integers = std::get_if<LongTable::Integers>(&column.values)) {
    column.values = LongTable::Reals(integers->begin(), integers->end());
  }
}

template <class T>
void add_numbers(std::vector<T>& to, std::span<const std::byte> bytes) {
  const std::size_t before = to.size();
  to.resize(before + bytes.size() / sizeof(T));
  if (!bytes.empty()) std::memcpy(to.data() + before, bytes.data(), bytes.size());
}

void add_values(LongTable::LongColumn& to, const TrialRecord::Values& from) {
  const bool integers = from.type == BlockType::I64;
  if (from.type == BlockType::F64) become_real(to);
  if (auto* codes = std::get_if<LongTable::Codes>(&to.values)) {
    if (from.type != BlockType::U8) return;
    for_each_text(from.bytes, [&](std::string_view text) { codes->push_back(to.categories.number_of(text)); });
  } else if (auto* whole = std::get_if<LongTable::Integers>(&to.values)) {
    if (integers) add_numbers(*whole, from.bytes);
  } else if (from.type == BlockType::F64) {
    add_numbers(std::get<LongTable::Reals>(to.values), from.bytes);
  } else if (integers) {
    LongTable::Integers numbers;
    add_numbers(numbers, from.bytes);
    auto& reals = std::get<LongTable::Reals>(to.values);
    reals.insert(reals.end(), numbers.begin(), numbers.end());
  }
}

}  // namespace

std::int32_t Categories::number_of(std::string_view text) {
  if (!texts_.empty() && texts_[static_cast<std::size_t>(last_)] == text) return last_;
  const auto found = numbers_.find(text);
  if (found != numbers_.end()) return last_ = found->second;
  last_ = static_cast<std::int32_t>(texts_.size());
  texts_.emplace_back(text);
  numbers_.emplace(texts_.back(), last_);
  return last_;
}

LongTable::LongTable() { columns_.push_back({{"trial", {}, "", "row in /trials"}, Integers{}, {}}); }

LongTable::LongColumn* LongTable::column_of(const TrialRecord::Values& values, std::size_t trial) {
  // Those of most trials come in one order.
  if (++met_ < columns_.size() && columns_[met_].about.name == values.name) return &columns_[met_];
  for (met_ = 0; met_ < columns_.size(); ++met_) {
    if (columns_[met_].about.name == values.name) return met_ == 0 ? nullptr : &columns_[met_];  // "trial" is ours
  }
  LongColumn fresh{{std::string(values.name), {}}, Codes{}, {}};
  if (values.type == BlockType::F64) fresh.values = Reals{};
  if (values.type == BlockType::I64) fresh.values = Integers{};
  if (cleared_ && values.type == BlockType::I64) fresh.values = Reals{};  // there are rows without it
  if (cleared_ && values.type == BlockType::U8) fresh.categories.number_of("");
  fill(fresh);
  first_.insert(trial);
  columns_.push_back(std::move(fresh));
  return &columns_.back();
}

void LongTable::fill(LongColumn& column) const {
  if (length(column) >= rows_) return;
  become_real(column);
  if (auto* codes = std::get_if<Codes>(&column.values)) {
    codes->resize(rows_, column.categories.number_of(""));
  } else {
    std::get<Reals>(column.values).resize(rows_, kAbsentNumber);
  }
}

void LongTable::append(std::size_t trial, const TrialRecord::Rows& part) {
  if (part.count == 0) return;
  met_ = 0;
  for (const TrialRecord::Values& values : part.columns) {
    LongColumn* column = column_of(values, trial);
    // Longer: a record that has a name twice.
    if (column != nullptr && length(*column) == rows_) add_values(*column, values);
  }
  auto& trials = std::get<Integers>(columns_[0].values);
  trials.insert(trials.end(), part.count, static_cast<std::int64_t>(trial));
  rows_ += part.count;
  for (LongColumn& column : columns_) fill(column);
}

void LongTable::clear() {
  for (LongColumn& column : columns_) std::visit([](auto& values) { values.clear(); }, column.values);
  cleared_ = cleared_ || rows_ > 0;
  rows_ = 0;
}

Table LongTable::take() {
  Table table;
  for (LongColumn& column : columns_) {
    Column whole = std::move(column.about);
    if (auto* reals = std::get_if<Reals>(&column.values)) whole.values = std::move(*reals);
    if (auto* integers = std::get_if<Integers>(&column.values)) whole.values = std::move(*integers);
    if (const auto* codes = std::get_if<Codes>(&column.values)) {
      std::vector<std::string> texts;
      texts.reserve(codes->size());
      for (const std::int32_t code : *codes) texts.push_back(column.categories.text(code));
      whole.values = std::move(texts);
    }
    column = {};
    table.columns.push_back(std::move(whole));
  }
  *this = LongTable();
  return table;
}

void LongTable::describe(const Table& part) {
  for (LongColumn& column : columns_) {
    Column& about = column.about;
    const Column* said = find_column(part, about.name);
    if (said == nullptr || !about.description.empty() || !about.unit.empty() || !about.mode.empty()) continue;
    about.unit = said->unit;
    about.description = said->description;
    about.mode = said->mode;
  }
}

}  // namespace winnow
