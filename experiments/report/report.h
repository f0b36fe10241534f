// The report on a survey in five forms. The same survey gives the same bytes.
#pragma once

#include <cstddef>
#include <ostream>
#include <string>
#include <vector>

#include "experiments/report/comparison.h"

namespace winnow {

enum class ReportForm { Text, Markdown, Csv, Latex, Json };

struct ReportOptions {
  ReportForm form = ReportForm::Text;
  bool wide = false;    // every column, whatever the width of the screen
  bool trials = false;  // the full ids and replicates behind each row
  std::size_t width = 120;
  bool bold = false;                      // text for a terminal, on which the best stand out
  std::vector<std::string> columns = {};  // keys; empty: those that fit, or all in CSV and JSON
  std::string sort = {};                  // key of a column, with a '-' before it the largest first; empty: by method
};

// The best test accuracy at each density is in bold. Accuracies are per cent in text, Markdown and LaTeX and fractions in CSV and JSON, which have all columns.
// Error{Usage} for a column that there is not.
void write_report(Comparison comparison, const ReportOptions& options, std::ostream& out);

}  // namespace winnow
