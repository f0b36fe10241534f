#include "experiments/report/text_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "experiments/text.h"

namespace winnow {
namespace {

constexpr std::size_t kGap = 2;  // between columns

std::size_t width_of(const TextColumn& column) {
  std::size_t width = display_width(column.title);
  for (const auto& cell : column.cells) width = std::max(width, display_width(cell));
  return width;
}

std::string padded(const std::string& text, std::size_t width, bool right) {
  const std::string space(width - std::min(width, display_width(text)), ' ');
  return right ? space + text : text + space;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

std::string latex_text(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\\') {
      result += "\\textbackslash{}";
    } else if (std::string("&%$#_{}").find(c) != std::string::npos) {
      result += std::string("\\") + c;
    } else if (c == '~' || c == '^') {
      result += std::string("\\") + c + "{}";
    } else {
      result += c;
    }
  }
  return replaced(result, "±", "$\\pm$");
}

}  // namespace

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  return "\"" + replaced(text, "\"", "\"\"") + "\"";
}

TextTable TextTable::fitted(std::size_t width) const {
  std::vector<std::size_t> order(columns.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return columns[a].importance < columns[b].importance; });
  std::vector<bool> chosen(columns.size(), false);
  std::size_t used = 0;
  for (const std::size_t i : order) {
    const std::size_t more = width_of(columns[i]) + (used == 0 ? 0 : kGap);
    if (columns[i].importance > 0 && used + more > width) continue;
    chosen[i] = true;
    used += more;
  }
  TextTable table;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (chosen[i]) table.columns.push_back(columns[i]);
  }
  return table;
}

void TextTable::text(std::ostream& out, bool bold, std::size_t indent) const {
  std::vector<std::size_t> widths;
  for (const TextColumn& column : columns) widths.push_back(width_of(column));
  const auto line = [&](auto&& cell, auto&& strong) {
    std::string text(indent, ' ');
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const TextColumn& column = columns[i];
      std::string shown = padded(cell(column), widths[i], column.number);
      if (bold && strong(column)) shown = "\033[1m" + shown + "\033[0m";
      text += shown + std::string(kGap, ' ');
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out << text << "\n";
  };
  line([](const TextColumn& column) { return column.title; }, [](const TextColumn&) { return false; });
  for (std::size_t row = 0; row < rows(); ++row) {
    line([row](const TextColumn& column) { return column.cells[row]; },
         [row](const TextColumn& column) { return column.is_strong(row); });
  }
}

void TextTable::markdown(std::ostream& out) const {
  const auto line = [&](auto&& cell) {
    out << "|";
    for (const TextColumn& column : columns) out << " " << replaced(cell(column), "|", "\\|") << " |";
    out << "\n";
  };
  line([](const TextColumn& column) { return column.title; });
  line([](const TextColumn& column) { return std::string(column.number ? "--:" : ":--"); });
  for (std::size_t row = 0; row < rows(); ++row) {
    line([row](const TextColumn& column) {
      return column.is_strong(row) ? "**" + column.cells[row] + "**" : column.cells[row];
    });
  }
}

void TextTable::latex(std::ostream& out, const std::string& caption, const std::string& label) const {
  const auto row_text = [&](auto&& cell) {
    std::vector<std::string> cells;
    for (const TextColumn& column : columns) cells.push_back(cell(column));
    return fmt::format("{} \\\\\n", fmt::join(cells, " & "));
  };
  std::size_t width = 0;
  for (const TextColumn& column : columns) width += width_of(column) + kGap;
  const bool scaled = width > kPage;
  out << "\\begin{table}\n\\centering\n\\small\n\\setlength{\\tabcolsep}{4pt}\n";
  out << "\\caption{" << latex_text(caption) << "}\n\\label{" << label << "}\n";
  if (scaled) out << "\\resizebox{\\linewidth}{!}{%\n";
  out << "\\begin{tabular}{@{}";
  for (const TextColumn& column : columns) out << (column.number ? 'r' : 'l');
  out << "@{}}\n\\toprule\n"
      << row_text([](const TextColumn& column) { return latex_text(column.title); }) << "\\midrule\n";
  for (std::size_t row = 0; row < rows(); ++row) {
    out << row_text([row](const TextColumn& column) {
      std::string text = latex_text(column.cells[row]);
      if (column.number && text.size() > 1 && text[0] == '-') text = "$-$" + text.substr(1);
      return column.is_strong(row) ? "\\textbf{" + text + "}" : text;
    });
  }
  out << "\\bottomrule\n\\end{tabular}" << (scaled ? "}" : "") << "\n\\end{table}\n";
}

}  // namespace winnow
