// Tables of many trials below each other, as a survey has them: rows come trial by trial, and columns that one of the
// trials lacks are filled up. Texts are kept once each, in the order in which they come. A column of integers becomes real
// where a trial lacks it; what is text here and numbers there, as it came first. Not synchronised.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "experiments/results/trial_record.h"
#include "experiments/trial.h"

namespace winnow {

// What a number column says of a trial that lacks it.
inline constexpr double kAbsentNumber = std::numeric_limits<double>::quiet_NaN();

class Categories {
 public:
  Categories() = default;
  Categories(Categories&&) = default;
  Categories& operator=(Categories&&) = default;
  std::int32_t number_of(std::string_view text);  // a new one for a new text
  const std::deque<std::string>& texts() const { return texts_; }
  const std::string& text(std::int32_t number) const { return texts_[static_cast<std::size_t>(number)]; }

 private:
  std::deque<std::string> texts_;  // which stay where they are
  std::unordered_map<std::string_view, std::int32_t> numbers_;
  std::int32_t last_ = 0;  // most texts are that of the row above
};

class LongTable {
 public:
  using Reals = std::vector<double>;
  using Integers = std::vector<std::int64_t>;
  using Codes = std::vector<std::int32_t>;  // of categories
  struct LongColumn {
    Column about;  // without values
    std::variant<Reals, Integers, Codes> values;
    Categories categories;
  };

  LongTable();
  void append(std::size_t trial, const TrialRecord::Rows& part);
  std::size_t rows() const { return rows_; }
  const std::vector<LongColumn>& columns() const { return columns_; }  // the first is the index, "trial"
  void clear();                                                        // of rows; columns stay what they are
  Table take();                                                        // all of it

  // The trials in which columns were met first, from which describe() can take what is said of them.
  const std::set<std::size_t>& first_trials() const { return first_; }
  void describe(const Table& part);

 private:
  LongColumn* column_of(const TrialRecord::Values& values, std::size_t trial);
  void fill(LongColumn& column) const;

  std::vector<LongColumn> columns_;
  std::size_t rows_ = 0, met_ = 0;  // met_: where the column of the last values stands
  bool cleared_ = false;
  std::set<std::size_t> first_;
};

}  // namespace winnow
