// The columns of the report's tables: title, meaning, how a row fills them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "experiments/report/comparison.h"

namespace winnow {

struct ReportColumn {
  std::string key;      // for --columns and --sort
  std::string title;    // on paper
  std::string meaning;  // one line of the legend
  bool number = true;
  int importance = 0;                                     // see TextColumn; kWideOnly: only with --wide
  std::function<std::string(const ComparisonRow&)> cell;  // for people
  std::string data;                                       // key of the DataColumn with the same value in full precision
};
inline constexpr int kWideOnly = 100;

const std::vector<ReportColumn>& report_columns();

// Column of CSV and JSON: full precision, empty where a value does not apply.
struct DataColumn {
  std::string key;
  bool number = true;
  std::function<std::string(const ComparisonRow&)> cell;
};
const std::vector<DataColumn>& data_columns();

// The columns that `keys` name, in that order; keys of either kind, for tables and for CSV and JSON. Error{Usage} naming
// the nearest for a key that is none.
std::vector<ReportColumn> report_columns(const std::vector<std::string>& keys);
std::vector<DataColumn> data_columns(const std::vector<std::string>& keys);
// The same for one key.
const DataColumn& data_column(const std::string& key);

}  // namespace winnow
