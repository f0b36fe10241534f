#include "experiments/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>

#include "experiments/report/columns.h"
#include "experiments/report/text_table.h"
#include "experiments/report/trial_reader.h"
#include "experiments/text.h"

namespace winnow {
namespace {

constexpr std::size_t kListedLines = 20;

std::size_t count_state(const Comparison& comparison, const std::string& state) {
  return static_cast<std::size_t>(std::count_if(comparison.missing.begin(), comparison.missing.end(),
                                                [&](const MissingTrial& t) { return t.state == state; }));
}

std::string coverage(const Comparison& c) {
  std::string text = fmt::format("{}: {} done, {} diverged, {} failed, {} missing", counted(c.planned, "trial"), c.done,
                                 c.diverged.size(), count_state(c, "failed"), count_state(c, "missing"));
  std::size_t stopped = 0;
  for (const StoppedConfiguration& one : c.stopped) {
    for (const auto& [epoch, trials] : one.by_epoch) stopped += trials;
  }
  if (stopped > 0) text += fmt::format(", {} stopped early", stopped);
  for (const char* state : {"running", "damaged"}) {
    if (count_state(c, state) > 0) text += fmt::format(", {} {}", count_state(c, state), state);
  }
  if (!c.only.empty()) text += fmt::format("; only {}", fmt::join(c.only, ", "));
  return text;
}

// A column nobody fills says nothing, and would push out one that does.
bool is_empty(const TextColumn& column) {
  return std::all_of(column.cells.begin(), column.cells.end(),
                     [](const std::string& c) { return c.empty() || c == "-"; });
}

// The best of the rows that are equally dense; where no two are, the best of all. The dense row takes no part.
std::vector<bool> best_rows(const ComparisonGroup& group) {
  std::map<std::string, std::vector<std::size_t>> by_density;
  for (std::size_t i = 0; i < group.rows.size(); ++i) {
    const ComparisonRow& row = group.rows[i];
    if (row.method != "dense" && row.test_acc.count > 0) by_density[row.density].push_back(i);
  }
  const bool any = std::ranges::any_of(by_density, [](const auto& entry) { return entry.second.size() > 1; });
  std::vector<std::vector<std::size_t>> contests(1);
  for (const auto& [density, rows] : by_density) {
    if (!any) contests[0].insert(contests[0].end(), rows.begin(), rows.end());
    if (rows.size() > 1) contests.push_back(rows);
  }
  std::vector<bool> best(group.rows.size(), false);
  for (const auto& rows : contests) {
    if (rows.size() < 2) continue;
    const auto accuracy = [&](std::size_t row) { return group.rows[row].test_acc.mean; };
    const double top = accuracy(std::ranges::max(rows, {}, accuracy));
    for (const std::size_t row : rows) best[row] = accuracy(row) >= top;
  }
  return best;
}

TextTable table_of(const ComparisonGroup& group, const ReportOptions& options) {
  TextTable table;
  const bool chosen = !options.columns.empty();
  for (const ReportColumn& column : chosen ? report_columns(options.columns) : report_columns()) {
    if (column.importance == kWideOnly && !options.wide) continue;
    TextColumn text{column.title, column.number, column.importance, {}};
    for (const ComparisonRow& row : group.rows) text.cells.push_back(column.cell(row));
    const bool optional = column.importance > 0 || column.key == "settings";
    if (!chosen && optional && is_empty(text)) continue;
    if (column.key == "test") text.strong = best_rows(group);
    table.columns.push_back(std::move(text));
  }
  return table;
}

// Numbers by value, all else by text; rows without a value come last.
void sort_rows(ComparisonGroup& group, const std::string& sort) {
  const bool descending = sort.starts_with("-");
  const DataColumn& column = data_column(descending ? sort.substr(1) : sort);
  const bool numbers = std::ranges::all_of(group.rows, [&](const ComparisonRow& row) {
    const std::string text = column.cell(row);
    double value = 0;
    return text.empty() || std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc();
  });
  std::ranges::stable_sort(group.rows, [&](const ComparisonRow& a, const ComparisonRow& b) {
    const std::string left = column.cell(a), right = column.cell(b);
    if (left.empty() || right.empty()) return !left.empty() && right.empty();
    const auto& [first, second] = descending ? std::tie(right, left) : std::tie(left, right);
    return numbers ? number_of(first) < number_of(second) : first < second;
  });
}

std::vector<std::string> trial_lines(const ComparisonGroup& group) {
  std::vector<std::string> lines;
  for (const ComparisonRow& row : group.rows) {
    lines.push_back(fmt::format("{}: {} replicates {}", row.label(), row.id, fmt::join(row.replicates, " ")));
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

// First whose doing it is; then a line for each configuration.
std::vector<std::string> stopped_lines(const Comparison& comparison) {
  std::vector<std::string> lines;
  for (const std::string& rule : comparison.rules) {
    const bool by_test = rule.find("{metric: test_") != std::string::npos;
    lines.push_back("by " + rule + (by_test ? ", so the test accuracies of those left are too good" : ""));
  }
  for (const StoppedConfiguration& one : comparison.stopped) {
    std::vector<std::string> parts;
    for (const auto& [epoch, trials] : one.by_epoch)
      parts.push_back(fmt::format("{} stopped after {} ep", trials, epoch));
    if (one.finished > 0) parts.push_back(fmt::format("{} finished", one.finished));
    if (one.diverged > 0) parts.push_back(fmt::format("{} diverged", one.diverged));
    lines.push_back(fmt::format("{}  {}: {}", one.label, one.id.substr(0, 8), fmt::join(parts, ", ")));
  }
  return lines;
}

constexpr const char* kStoppedTitle = "stopped early: in no table, since those left of a configuration were chosen";

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
    const TextTable full = table_of(group, options);
    const TextTable table = options.wide || !options.columns.empty() ? full : full.fitted(options.width);
    table.text(out, options.bold);
    for (const std::string& note : group.notes) out << "  note: " << note << "\n";
    if (options.trials) {
      for (const auto& line : trial_lines(group)) out << "  " << line << "\n";
    }
    if (table.columns.size() < full.columns.size()) {
      ReportOptions wide = options;
      wide.wide = true;
      out << fmt::format("  ({} more columns: --wide)\n", table_of(group, wide).columns.size() - table.columns.size());
    }
    seen.columns.insert(seen.columns.end(), table.columns.begin(), table.columns.end());
  }
  out << "\n";
  legend(out, seen, "");
  const auto stopped = stopped_lines(comparison);
  if (!stopped.empty()) out << "\n" << kStoppedTitle << "\n";
  for (const auto& line : stopped) out << "  " << line << "\n";
  const auto lines = absent_lines(comparison);
  if (!lines.empty()) out << "\nnot in the tables\n";
  for (std::size_t i = 0; i < std::min(lines.size(), kListedLines); ++i) out << "  " << lines[i] << "\n";
  if (lines.size() > kListedLines)
    out << fmt::format("  and {} more (--json lists all)\n", lines.size() - kListedLines);
}

void write_markdown(const Comparison& comparison, const ReportOptions& options, std::ostream& out) {
  out << "# Results\n\n" << coverage(comparison) << "\n";
  TextTable seen;
  for (const ComparisonGroup& group : comparison.groups) {
    out << "\n## " << group.title << "\n\n";
    const TextTable table = table_of(group, options);
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
  const auto stopped = stopped_lines(comparison);
  if (!stopped.empty())
    out << "\n## Stopped early\n\nIn no table, since those left of a configuration were chosen.\n\n";
  for (const auto& line : stopped) out << "- " << line << "\n";
  const auto lines = absent_lines(comparison);
  if (!lines.empty()) out << "\n## Not in the tables\n\n";
  for (const auto& line : lines) out << "- " << line << "\n";
}

// "tab:lenet300-on-mnist": letters and digits of the title.
std::string latex_label(const std::string& title) {
  std::string label;
  for (const char c : title) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0;
    if (plain || (!label.empty() && label.back() != '-')) label += plain ? c : '-';
  }
  while (label.ends_with('-')) label.pop_back();
  return "tab:" + label;
}

void write_latex(const Comparison& comparison, const ReportOptions& options, std::ostream& out) {
  out << "% " << coverage(comparison) << "\n";
  TextTable seen;
  for (const ComparisonGroup& group : comparison.groups) {
    const TextTable full = table_of(group, options);
    const TextTable table = options.wide || !options.columns.empty() ? full : full.fitted(kPage);
    table.latex(out, group.title, latex_label(group.title));
    for (const std::string& note : group.notes) out << "% note: " << note << "\n";
    if (options.trials) {
      for (const auto& line : trial_lines(group)) out << "% " << line << "\n";
    }
    seen.columns.insert(seen.columns.end(), table.columns.begin(), table.columns.end());
  }
  legend(out, seen, "% ");
  const auto stopped = stopped_lines(comparison);
  if (!stopped.empty()) out << "% " << kStoppedTitle << "\n";
  for (const auto& line : stopped) out << "% " << line << "\n";
  for (const auto& line : absent_lines(comparison)) out << "% " << line << "\n";
}

std::vector<DataColumn> shown_data(const ReportOptions& options) {
  return options.columns.empty() ? data_columns() : data_columns(options.columns);
}

void write_csv(const Comparison& comparison, const ReportOptions& options, std::ostream& out) {
  const std::vector<DataColumn> columns = shown_data(options);
  out << "group";
  for (const DataColumn& column : columns) out << "," << csv_cell(column.key);
  out << "\n";
  for (const ComparisonGroup& group : comparison.groups) {
    for (const ComparisonRow& row : group.rows) {
      out << csv_cell(group.title);
      for (const DataColumn& column : columns) out << "," << csv_cell(column.cell(row));
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

void write_json(const Comparison& comparison, const ReportOptions& options, std::ostream& out) {
  const std::vector<DataColumn> columns = shown_data(options);
  nlohmann::ordered_json json = {{"schema", "winnow-report"},
                                 {"schema_version", "1.0"},
                                 {"planned", comparison.planned},
                                 {"done", comparison.done}};
  if (!comparison.only.empty()) json["only"] = comparison.only;
  json["groups"] = nlohmann::ordered_json::array();
  for (const ComparisonGroup& group : comparison.groups) {
    nlohmann::ordered_json rows = nlohmann::ordered_json::array();
    for (const ComparisonRow& row : group.rows) {
      nlohmann::ordered_json entry;
      for (const DataColumn& column : columns) entry[column.key] = value_of(column, row);
      rows.push_back(std::move(entry));
    }
    json["groups"].push_back({{"title", group.title}, {"notes", group.notes}, {"rows", std::move(rows)}});
  }
  if (!comparison.stopped.empty()) {
    auto list = nlohmann::ordered_json::array();
    for (const StoppedConfiguration& one : comparison.stopped) {
      auto epochs = nlohmann::ordered_json::array();
      for (const auto& [epoch, trials] : one.by_epoch) epochs.push_back({{"epoch", epoch}, {"trials", trials}});
      list.push_back({{"label", one.label},
                      {"id", one.id},
                      {"finished", one.finished},
                      {"diverged", one.diverged},
                      {"stopped", std::move(epochs)}});
    }
    json["stopped"] = {{"rules", comparison.rules}, {"configurations", std::move(list)}};
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

void write_report(Comparison comparison, const ReportOptions& options, std::ostream& out) {
  if (!options.sort.empty()) {
    for (ComparisonGroup& group : comparison.groups) sort_rows(group, options.sort);
  }
  const bool is_data = options.form == ReportForm::Csv || options.form == ReportForm::Json;
  if (!is_data && !options.columns.empty()) report_columns(options.columns);  // a wrong one is said before any line
  switch (options.form) {
    case ReportForm::Text:
      return write_text(comparison, options, out);
    case ReportForm::Markdown:
      return write_markdown(comparison, options, out);
    case ReportForm::Csv:
      return write_csv(comparison, options, out);
    case ReportForm::Latex:
      return write_latex(comparison, options, out);
    case ReportForm::Json:
      return write_json(comparison, options, out);
  }
}

}  // namespace winnow
