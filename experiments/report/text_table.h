// A table of text cells and its four renderings. Plain values.
#pragma once

#include <cstddef>
#include <ostream>
#include <string>
#include <vector>

namespace winnow {

struct TextColumn {
  std::string title;
  bool number = true;  // right-aligned
  int importance = 0;  // 0: always shown; others, the lowest first, where there is room
  std::vector<std::string> cells;
  std::vector<bool> strong = {};  // by cell: printed in bold; empty: none
  bool is_strong(std::size_t row) const { return row < strong.size() && strong[row]; }
};

// Characters of a line of \small type on a page of \textwidth, roughly.
inline constexpr std::size_t kPage = 96;

struct TextTable {
  std::vector<TextColumn> columns;  // of equal length

  std::size_t rows() const { return columns.empty() ? 0 : columns[0].cells.size(); }
  // Leaves out columns, the least important first and the later one of two, until the text fits `width`.
  TextTable fitted(std::size_t width) const;

  // `bold`: with the sequences of a terminal. `indent`: spaces before each line.
  void text(std::ostream& out, bool bold = false, std::size_t indent = 0) const;
  void markdown(std::ostream& out) const;
  // Needs the booktabs package, and graphicx if the table is wider than a page, to which it is then scaled down.
  void latex(std::ostream& out, const std::string& caption, const std::string& label) const;
};

std::string csv_cell(const std::string& text);

}  // namespace winnow
