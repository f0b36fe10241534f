// The table of trials of a survey, made from one record after the other: settings, facts and summary values become columns
// as they come, so that no more of a trial is kept than its row. Not synchronised.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/results/long_table.h"
#include "experiments/results/trial_record.h"

namespace winnow {

// Columns by name. The names of most trials come in one order, so each is first looked for where it stood in the last row.
template <class Values>
class NamedColumns {
 public:
  using Map = std::map<std::string, Values, std::less<>>;
  void begin_row() { at_ = 0; }
  Values& operator[](std::string_view name) {
    if (at_ < order_.size() && order_[at_]->first == name) return order_[at_++]->second;
    auto found = columns_.find(name);
    if (found == columns_.end()) found = columns_.emplace(std::string(name), Values{}).first;
    order_.resize(at_);
    order_.push_back(found);
    return order_[at_++]->second;
  }
  const Map& columns() const { return columns_; }

 private:
  Map columns_;
  std::vector<typename Map::iterator> order_;
  std::size_t at_ = 0;
};

class TrialColumns {
 public:
  void add(const TrialRecord& record);
  struct Row {
    std::string name;
    Outcome outcome;
  };
  const std::vector<Row>& rows() const { return rows_; }
  // Those that all trials have, and with one value.
  std::map<std::string, std::string> common_settings() const;
  Table table() const;

 private:
  struct Texts {
    std::vector<std::int32_t> codes;  // -1: the trial has none; the last ones may be missing
    Categories values;
    void put(std::size_t row, std::string_view text);
    std::vector<std::string> column(std::size_t rows) const;
  };
  struct Numbers {
    std::vector<double> values;
    void put(std::size_t row, double value);
  };
  bool is_common(const Texts& setting) const;
  Column setting_column(const std::string& name, const Texts& setting) const;
  void add_facts(Table& table, const std::string& group, const NamedColumns<Texts>& facts) const;

  std::vector<Row> rows_;
  std::vector<std::string> ids_, reasons_, created_, digests_;
  std::vector<std::int64_t> replicates_;
  NamedColumns<Texts> settings_, provenance_, lineage_;
  NamedColumns<Numbers> summary_;
};

}  // namespace winnow
