#include <ostream>

#include "core/error.h"
#include "experiments/cli/options.h"
#include "experiments/cli/verbs.h"
#include "experiments/results/container.h"
#include "experiments/results/layout.h"
#include "experiments/results/survey.h"

namespace winnow {
namespace {

namespace fs = std::filesystem;

// A survey can be made again, nothing else can: no other file may be lost to a slip in -o, and
// nothing may appear among the results.
void check_target(Files& files, const fs::path& target, const fs::path& out) {
  const auto trials = fs::weakly_canonical(Layout(out).trials());
  const auto inside = fs::weakly_canonical(target).lexically_relative(trials);
  if (!inside.empty() && *inside.begin() != "..") {
    fail(ErrorKind::Usage, "{}: is in the folder of the results; choose another -o", target.string());
  }
  if (files.exists(target) && !is_survey(files, target)) {
    fail(ErrorKind::Usage, "{}: exists and is not a survey file of this winnow; remove it or choose another -o",
         target.string());
  }
}

}  // namespace

void add_collect_options(VerbOptions& options) {
  namespace po = boost::program_options;
  options.add_options()("place", po::value<std::string>(), "output directory of winnow run")(
      "output,o", po::value<std::string>(), "survey file (default: OUT/survey.h5)")(
      "pack", "copy the weights; without it the survey links to the result files");
}

int run_collect(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  const auto given = parse_arguments("collect", args, out);
  if (!given) return 0;
  const fs::path folder = place_of(*given);
  const fs::path target =
      given->contains("output") ? fs::path((*given)["output"].as<std::string>()) : folder / "survey.h5";
  PosixFiles files;
  check_target(files, target, folder);
  const Survey survey = gather_survey(files, folder);
  for (const MissingTrial& trial : survey.missing) {
    if (trial.state == "damaged") err << "warning: " << trial.reason << "\n";
  }
  write_survey(files, survey, folder, target, given->contains("pack") ? SurveyWeights::Pack : SurveyWeights::Link);
  const std::size_t count = rows_of(survey.trials);
  out << fmt::format("{}: {} of {} trials, {} without a result\n", target.string(), count, survey.planned,
                     survey.planned - count);
  return 0;
}

}  // namespace winnow
