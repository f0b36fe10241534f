#include "experiments/report/report.h"

#include "core/error.h"
#include "experiments/cli/out_arguments.h"
#include "experiments/cli/verbs.h"
#include "experiments/results/survey.h"

namespace winnow {
namespace {

ReportForm form_of(const OutArguments& given) {
  ReportForm form = ReportForm::Text;
  int chosen = 0;
  for (const auto& [option, value] : {std::pair{"markdown", ReportForm::Markdown},
                                      {"csv", ReportForm::Csv},
                                      {"latex", ReportForm::Latex},
                                      {"json", ReportForm::Json}}) {
    if (!given.has(option)) continue;
    form = value;
    ++chosen;
  }
  if (chosen > 1) fail(ErrorKind::Usage, "--markdown, --csv, --latex and --json exclude each other");
  return form;
}

}  // namespace

int run_report(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  boost::program_options::options_description options(
      "winnow report SURVEY|OUT [options]   tables of a survey file or of an output directory");
  options.add_options()("markdown", "Markdown")("csv", "comma-separated, every column in full precision")(
      "latex", "LaTeX (booktabs)")("json", "one JSON object, every column in full precision")(
      "wide", "every column, whatever the width")("trials", "the ids of the trials behind each row");
  const auto given = parse_out_arguments(args, options, out);
  if (!given) return 0;
  ReportOptions report;
  report.form = form_of(*given);
  report.wide = given->has("wide");
  report.trials = given->has("trials");

  PosixFiles files;
  const std::filesystem::path place = given->place;
  if (!files.exists(place)) fail(ErrorKind::Input, "{}: no such survey file or directory", place.string());
  const Survey survey = files.is_folder(place) ? gather_survey(files, place) : read_survey(files, place);
  for (const MissingTrial& trial : survey.missing) {
    if (trial.state == "damaged") err << "warning: " << trial.reason << "\n";
  }
  write_report(compare(survey), report, out);
  return 0;
}

}  // namespace winnow
