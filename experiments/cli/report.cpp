#include "experiments/report/report.h"

#include <unistd.h>

#include <cstdlib>
#include <sstream>

#include "core/error.h"
#include "experiments/cli/options.h"
#include "experiments/cli/plot.h"
#include "experiments/cli/verbs.h"
#include "experiments/results/survey.h"
#include "experiments/run/terminal.h"

namespace winnow {
namespace {

namespace po = boost::program_options;

ReportForm form_of(const po::variables_map& given) {
  ReportForm form = ReportForm::Text;
  int chosen = 0;
  for (const auto& [option, value] : {std::pair{"markdown", ReportForm::Markdown},
                                      {"csv", ReportForm::Csv},
                                      {"latex", ReportForm::Latex},
                                      {"json", ReportForm::Json}}) {
    if (!given.contains(option)) continue;
    form = value;
    ++chosen;
  }
  if (chosen > 1) fail(ErrorKind::Usage, "--markdown, --csv, --latex and --json exclude each other");
  return form;
}

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  std::istringstream parts(text);
  for (std::string word; std::getline(parts, word, ',');) {
    if (!word.empty()) words.push_back(word);
  }
  return words;
}

ReportOptions report_options(const po::variables_map& given) {
  ReportOptions report;
  report.form = form_of(given);
  report.wide = given.contains("wide");
  report.trials = given.contains("trials");
  if (given.contains("columns")) report.columns = words_of(given["columns"].as<std::string>());
  if (given.contains("sort")) report.sort = given["sort"].as<std::string>();
  // A file or a pipe has no width; what is made from it should not depend on the window.
  const Terminal screen = terminal_of(STDOUT_FILENO);
  if (screen.live || std::getenv("COLUMNS") != nullptr) report.width = screen.columns();
  report.bold = screen.colours;
  return report;
}

}  // namespace

void add_report_options(VerbOptions& options) {
  options.add_options()("place", po::value<std::string>(), "survey file of winnow collect, or output directory")(
      "markdown", "Markdown")("csv", "comma-separated, every column in full precision")(
      "latex", "LaTeX: a table (booktabs) that fits a page, the best in bold")(
      "json", "one JSON object, every column in full precision")("wide", "every column, whatever the width")(
      "columns", po::value<std::string>(),
      "A,B,...: these columns in this order, by the keys of --csv or shorter ones")(
      "sort", po::value<std::string>(), "column to sort rows by; with '-' before it the largest first")(
      "only", po::value<std::vector<std::string>>()->composing(),
      "KEY=VALUE or KEY=[A, B]: only trials that match, as of winnow run; dense ones stay the baseline")(
      "trials", "the ids of the trials behind each row")(
      "plot", po::value<std::string>(), "also draws accuracy against density into this file: .svg, .pdf or .png");
}

int run_report(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  const auto given = parse_arguments("report", args, out);
  if (!given) return 0;
  const ReportOptions report = report_options(*given);
  if (given->contains("plot")) check_picture((*given)["plot"].as<std::string>());
  PosixFiles files;
  const std::filesystem::path place = place_of(*given);
  if (!files.exists(place)) fail(ErrorKind::Input, "{}: no such survey file or directory", place.string());
  const Survey survey = files.is_folder(place) ? gather_survey(files, place) : read_survey(files, place);
  for (const MissingTrial& trial : survey.missing) {
    if (trial.state == "damaged") err << "warning: " << trial.reason << "\n";
  }
  const auto only =
      given->contains("only") ? (*given)["only"].as<std::vector<std::string>>() : std::vector<std::string>();
  const Comparison comparison = compare(survey, only);
  if (!only.empty() && comparison.groups.empty() && comparison.missing.empty()) {
    fail(ErrorKind::Usage, "--only {}: none of {} trials matches", fmt::join(only, " --only "), survey.planned);
  }
  write_report(comparison, report, out);
  if (given->contains("plot")) {
    std::ostringstream json;
    write_report(comparison, {.form = ReportForm::Json}, json);
    draw_plot(json.str(), (*given)["plot"].as<std::string>());
  }
  return 0;
}

}  // namespace winnow
