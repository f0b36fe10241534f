#include "experiments/results/trial_columns.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "experiments/results/summary.h"
#include "experiments/results/survey.h"

namespace winnow {
namespace {

// These identify a row even where a sweep has only one of them.
constexpr const char* kAlwaysColumns[] = {"data.name", "model.name", "method.name"};

std::optional<double> number_in(const std::string& text) {
  double number = kAbsentNumber;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = text.empty() || (read.ec == std::errc() && read.ptr == text.data() + text.size());
  return whole ? std::optional(number) : std::nullopt;
}

}  // namespace

void TrialColumns::Texts::put(std::size_t row, std::string_view text) {
  codes.resize(row, -1);
  codes.push_back(values.number_of(text));
}

std::vector<std::string> TrialColumns::Texts::column(std::size_t rows) const {
  std::vector<std::string> texts(rows);
  for (std::size_t row = 0; row < codes.size(); ++row) {
    if (codes[row] >= 0) texts[row] = values.text(codes[row]);
  }
  return texts;
}

void TrialColumns::Numbers::put(std::size_t row, double value) {
  values.resize(row, kAbsentNumber);
  values.push_back(value);
}

void TrialColumns::add(const TrialRecord& record) {
  const std::size_t row = rows_.size();
  const TrialHeader& header = record.header;
  rows_.push_back({header.name, header.outcome});
  ids_.push_back(header.id);
  replicates_.push_back(header.replicate);
  reasons_.push_back(header.reason);
  created_.push_back(header.created);
  digests_.push_back(header.content_digest);
  const auto put = [&](auto& columns, const auto& entries) {
    columns.begin_row();
    for (const auto& [name, value] : entries) columns[name].put(row, value);
  };
  put(settings_, record.settings);
  put(provenance_, record.provenance);
  put(lineage_, record.lineage);
  put(summary_, record.summary);
}

bool TrialColumns::is_common(const Texts& setting) const {
  const auto& codes = setting.codes;
  return codes.size() == rows_.size() && codes.front() >= 0 &&
         std::ranges::count(codes, codes.front()) == std::ssize(codes);
}

std::map<std::string, std::string> TrialColumns::common_settings() const {
  std::map<std::string, std::string> common;
  for (const auto& [name, setting] : settings_.columns()) {
    if (is_common(setting)) common[name] = setting.values.text(setting.codes.front());
  }
  return common;
}

// Numbers, so that a reader can compare them, if all that is there are numbers.
Column TrialColumns::setting_column(const std::string& name, const Texts& setting) const {
  std::vector<double> numbers;
  bool any = false;
  for (const std::string& text : setting.values.texts()) {
    const auto number = number_in(text);
    if (!number) return {name, setting.column(rows_.size()), "", kSettingColumn};
    numbers.push_back(*number);
    any = any || !text.empty();
  }
  if (!any) return {name, setting.column(rows_.size()), "", kSettingColumn};
  std::vector<double> column(rows_.size(), kAbsentNumber);
  for (std::size_t row = 0; row < setting.codes.size(); ++row) {
    if (setting.codes[row] >= 0) column[row] = numbers[static_cast<std::size_t>(setting.codes[row])];
  }
  return {name, std::move(column), "", kSettingColumn};
}

void TrialColumns::add_facts(Table& table, const std::string& group, const NamedColumns<Texts>& facts) const {
  for (const auto& [name, texts] : facts.columns()) {
    if (is_in_survey(name)) table.columns.push_back({group + "." + name, texts.column(rows_.size())});
  }
}

Table TrialColumns::table() const {
  Table table;
  std::vector<std::string> names, states;
  for (const Row& row : rows_) {
    names.push_back(row.name);
    states.emplace_back(name_of(row.outcome));
  }
  table.columns.push_back({"name", std::move(names)});
  table.columns.push_back({"id", ids_});
  table.columns.push_back({"replicate", replicates_});
  table.columns.push_back({"state", std::move(states)});
  table.columns.push_back({"reason", reasons_});
  table.columns.push_back({"created", created_});
  table.columns.push_back({"content_digest", digests_});
  for (const auto& [key, setting] : settings_.columns()) {
    const bool always = std::ranges::find(kAlwaysColumns, key) != std::end(kAlwaysColumns);
    if (is_common(setting) && !always) continue;
    const std::string prefix = summary_.columns().contains(key) ? kSettingPrefix : "";
    table.columns.push_back(setting_column(prefix + key, setting));
  }
  add_facts(table, "provenance", provenance_);
  add_facts(table, "provenance.lineage", lineage_);
  std::set<std::string> left;
  for (const auto& [name, numbers] : summary_.columns()) left.insert(name);
  const auto add = [&](const std::string& name, const std::string& unit, const std::string& meaning) {
    std::vector<double> column = summary_.columns().find(name)->second.values;
    column.resize(rows_.size(), kAbsentNumber);
    table.columns.push_back({name, std::move(column), unit, meaning});
    left.erase(name);
  };
  for (const SummaryField& field : summary_fields()) {
    if (left.contains(field.name)) add(field.name, field.unit, field.meaning);
  }
  while (!left.empty()) add(std::string(*left.begin()), "", "");
  return table;
}

}  // namespace winnow
