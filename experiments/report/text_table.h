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
};

struct TextTable {
  std::vector<TextColumn> columns;  // of equal length

  std::size_t rows() const { return columns.empty() ? 0 : columns[0].cells.size(); }
  // Leaves out columns, the least important first and the later one of two, until the text fits `width`.
  TextTable fitted(std::size_t width) const;

  void text(std::ostream& out) const;
  void markdown(std::ostream& out) const;
  void latex(std::ostream& out, const std::string& caption) const;  // needs the booktabs package
};

std::string csv_cell(const std::string& text);

}  // namespace winnow
