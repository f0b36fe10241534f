#include "experiments/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "experiments/report/columns.h"
#include "experiments/report/text_table.h"

namespace winnow {
namespace {

constexpr std::size_t kListed = 20;

std::size_t count_state(const Comparison& comparison, const std::string& state) {
  return static_cast<std::size_t>(std::count_if(comparison.missing.begin(), comparison.missing.end(),
                                                [&](const MissingTrial& t) { return t.state == state; }));
}

std::string coverage(const Comparison& c) {
  std::string text = fmt::format("{} trials: {} done, {} diverged, {} failed, {} missing", c.planned, c.done,
                                 c.diverged.size(), count_state(c, "failed"), count_state(c, "missing"));
  for (const char* state : {"running", "damaged"}) {
    if (count_state(c, state) > 0) text += fmt::format(", {} {}", count_state(c, state), state);
  }
  return text;
}

// A column nobody fills says nothing, and would push out one that does.
bool is_empty(const TextColumn& column) {
  return std::all_of(column.cells.begin(), column.cells.end(),
                     [](const std::string& c) { return c.empty() || c == "-"; });
}

TextTable table_of(const ComparisonGroup& group, bool wide) {
  TextTable table;
  for (const ReportColumn& column : report_columns()) {
    if (column.importance == kWideOnly && !wide) continue;
    TextColumn text{column.title, column.number, column.importance, {}};
    for (const ComparisonRow& row : group.rows) text.cells.push_back(column.cell(row));
    if (column.importance == 0 ? column.key == "settings" && is_empty(text) : is_empty(text)) continue;
    table.columns.push_back(std::move(text));
  }
  return table;
}

std::vector<std::string> trial_lines(const ComparisonGroup& group) {
  std::vector<std::string> lines;
  for (const ComparisonRow& row : group.rows) {
    std::string name = row.method + " " + row.density;
    if (!row.settings.empty()) name += " (" + row.settings + ")";
    lines.push_back(fmt::format("{}: {} replicates {}", name, row.id, fmt::join(row.replicates, " ")));
  }
  return lines;
}

std::vector<std::string> absent_lines(const Comparison& comparison) {
  std::vector<std::string> lines;
  const auto add = [&](const MissingTrial& t) {
    std::string line = t.state + "  " + t.name;
    if (!t.settings.empty()) line += "  " + t.settings;
    if (!t.reason.empty()) line += ": " + t.reason;
    lines.push_back(line);
  };
  for (const auto& trial : comparison.diverged) add(trial);
  for (const auto& trial : comparison.missing) add(trial);
  return lines;
}

void legend(std::ostream& out, const TextTable& shown, const char* bullet) {
  for (const ReportColumn& column : report_columns()) {
    const bool there = std::any_of(shown.columns.begin(), shown.columns.end(),
                                   [&](const TextColumn& c) { return c.title == column.title; });
    if (there && !column.meaning.empty()) out << bullet << column.title << ": " << column.meaning << "\n";
  }
}

void write_text(const Comparison& comparison, const ReportOptions& options, std::ostream& out) {
  out << coverage(comparison) << "\n";
  TextTable seen;
  for (const ComparisonGroup& group : comparison.groups) {
    out << "\n" << group.title << "\n";
    const TextTable full = table_of(group, options.wide);
    const TextTable table = options.wide ? full : full.fitted(options.width);
    table.text(out);
    for (const std::string& note : group.notes) out << "  note: " << note << "\n";
    if (options.trials) {
      for (const auto& line : trial_lines(group)) out << "  " << line << "\n";
    }
    if (table.columns.size() < full.columns.size()) {
      out << fmt::format("  ({} more columns: --wide)\n", full.columns.size() - table.columns.size());
    }
    seen.columns.insert(seen.columns.end(), table.columns.begin(), table.columns.end());
  }
  out << "\n";
  legend(out, seen, "");
  const auto lines = absent_lines(comparison);
  if (!lines.empty()) out << "\nnot in the tables\n";
  for (std::size_t i = 0; i < std::min(lines.size(), kListed); ++i) out << "  " << lines[i] << "\n";
  if (lines.size() > kListed) out << fmt::format("  and {} more (--json lists all)\n", lines.size() - kListed);
}

void write_markdown(const Comparison& comparison, const ReportOptions& options, std::ostream& out) {
  out << "# Results\n\n" << coverage(comparison) << "\n";
  TextTable seen;
  for (const ComparisonGroup& group : comparison.groups) {
    out << "\n## " << group.title << "\n\n";
    const TextTable table = table_of(group, options.wide);
    table.markdown(out);
    for (const std::string& note : group.notes) out << "\nNote: " << note << "\n";
    if (options.trials) {
      out << "\n";
      for (const auto& line : trial_lines(group)) out << "- " << line << "\n";
    }
    seen.columns.insert(seen.columns.end(), table.columns.begin(), table.columns.end());
  }
  out << "\n";
  legend(out, seen, "- ");
  const auto lines = absent_lines(comparison);
  if (!lines.empty()) out << "\n## Not in the tables\n\n";
  for (const auto& line : lines) out << "- " << line << "\n";
}

void write_latex(const Comparison& comparison, const ReportOptions& options, std::ostream& out) {
  out << "% " << coverage(comparison) << "\n";
  for (const ComparisonGroup& group : comparison.groups) {
    table_of(group, options.wide).latex(out, group.title);
    if (options.trials) {
      for (const auto& line : trial_lines(group)) out << "% " << line << "\n";
    }
  }
  for (const auto& line : absent_lines(comparison)) out << "% " << line << "\n";
}

void write_csv(const Comparison& comparison, std::ostream& out) {
  out << "group";
  for (const DataColumn& column : data_columns()) out << "," << csv_cell(column.key);
  out << "\n";
  for (const ComparisonGroup& group : comparison.groups) {
    for (const ComparisonRow& row : group.rows) {
      out << csv_cell(group.title);
      for (const DataColumn& column : data_columns()) out << "," << csv_cell(column.cell(row));
      out << "\n";
    }
  }
}

nlohmann::ordered_json value_of(const DataColumn& column, const ComparisonRow& row) {
  const std::string text = column.cell(row);
  if (!column.number) return text;
  double number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ec == std::errc() ? nlohmann::ordered_json(number) : nlohmann::ordered_json();
}

void write_json(const Comparison& comparison, std::ostream& out) {
  nlohmann::ordered_json json = {{"schema", "winnow-report"},
                                 {"schema_version", "1.0"},
                                 {"planned", comparison.planned},
                                 {"done", comparison.done}};
  json["groups"] = nlohmann::ordered_json::array();
  for (const ComparisonGroup& group : comparison.groups) {
    nlohmann::ordered_json rows = nlohmann::ordered_json::array();
    for (const ComparisonRow& row : group.rows) {
      nlohmann::ordered_json entry;
      for (const DataColumn& column : data_columns()) entry[column.key] = value_of(column, row);
      rows.push_back(std::move(entry));
    }
    json["groups"].push_back({{"title", group.title}, {"rows", std::move(rows)}});
  }
  json["absent"] = nlohmann::ordered_json::array();
  for (const auto* list : {&comparison.diverged, &comparison.missing}) {
    for (const MissingTrial& t : *list) {
      json["absent"].push_back({{"name", t.name}, {"state", t.state}, {"reason", t.reason}, {"settings", t.settings}});
    }
  }
  out << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

}  // namespace

void write_report(const Comparison& comparison, const ReportOptions& options, std::ostream& out) {
  switch (options.form) {
    case ReportForm::Text:
      return write_text(comparison, options, out);
    case ReportForm::Markdown:
      return write_markdown(comparison, options, out);
    case ReportForm::Csv:
      return write_csv(comparison, out);
    case ReportForm::Latex:
      return write_latex(comparison, options, out);
    case ReportForm::Json:
      return write_json(comparison, out);
  }
}

}  // namespace winnow
