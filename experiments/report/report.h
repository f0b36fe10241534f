// The report on a survey in five forms. The same survey gives the same bytes.
#pragma once

#include <cstddef>
#include <ostream>

#include "experiments/report/comparison.h"

namespace winnow {

enum class ReportForm { Text, Markdown, Csv, Latex, Json };

struct ReportOptions {
  ReportForm form = ReportForm::Text;
  bool wide = false;    // every column, whatever the width of the screen
  bool trials = false;  // the full ids and replicates behind each row
  std::size_t width = 120;
};

// Accuracies are per cent in text, Markdown and LaTeX and fractions in CSV and JSON, which have all columns.
void write_report(const Comparison& comparison, const ReportOptions& options, std::ostream& out);

}  // namespace winnow
