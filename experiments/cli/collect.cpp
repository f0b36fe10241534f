#include <ostream>

#include "core/error.h"
#include "experiments/cli/out_arguments.h"
#include "experiments/cli/verbs.h"
#include "experiments/results/container.h"
#include "experiments/results/survey.h"

namespace winnow {

int run_collect(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  namespace po = boost::program_options;
  po::options_description options(
      "winnow collect OUT [options]   all results of a directory in one file");
  std::string path;
  options.add_options()("output,o", po::value(&path), "survey file (default: OUT/survey.h5)")(
      "pack", "copy the weights; without it the survey links to the result files");
  const auto given = parse_out_arguments(args, options, out);
  if (!given) return 0;
  const std::filesystem::path folder = given->place;
  const std::filesystem::path target =
      path.empty() ? folder / "survey.h5" : std::filesystem::path(path);
  PosixFiles files;
  const Survey survey = gather_survey(files, folder);
  for (const MissingTrial& trial : survey.missing) {
    if (trial.state == "damaged") err << "warning: " << trial.reason << "\n";
  }
  write_survey(files, survey, folder, target,
               given->has("pack") ? SurveyWeights::Pack : SurveyWeights::Link);
  out << fmt::format("{}: {} of {} trials, {} without a result\n", target.string(),
                     rows_of(survey.trials), survey.planned, survey.missing.size());
  return 0;
}

}  // namespace winnow
