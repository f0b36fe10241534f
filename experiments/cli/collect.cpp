#include <ostream>
#include <set>

#include "core/error.h"
#include "experiments/cli/json_output.h"
#include "experiments/cli/options.h"
#include "experiments/cli/verbs.h"
#include "experiments/results/container.h"
#include "experiments/results/survey.h"
#include "experiments/text.h"

namespace winnow {
namespace {

namespace fs = std::filesystem;

// A survey can be made again, nothing else can: no other file may be lost to a slip in -o, and nothing may appear
// among winnow's own files. Returns the trials of the survey that will be replaced.
std::vector<std::string> check_target(Files& files, const fs::path& target, const fs::path& out) {
  std::error_code ignored;
  const auto place = fs::weakly_canonical(target, ignored), folder = fs::weakly_canonical(out, ignored);
  const auto inside = place.lexically_relative(folder);
  const bool is_inside = !inside.empty() && *inside.begin() != "..";
  if (is_inside && (place.parent_path() != folder || place.extension() != ".h5")) {
    fail(ErrorKind::Usage, "{}: in {} only a file NAME.h5 at its top may be a survey; choose another -o",
         target.string(), out.string());
  }
  if (!files.exists(target)) return {};
  auto trials = trials_in_survey(files, target);
  if (!trials) {
    fail(ErrorKind::Usage, "{}: exists and is not a survey file of this winnow; remove it or choose another -o",
         target.string());
  }
  return std::move(*trials);
}

// Not a poorer survey in the place of a richer one, unless that was asked for.
void check_not_poorer(std::vector<std::string> before, const Survey& survey, const fs::path& target) {
  std::set<std::string> now;
  for (std::size_t row = 0; row < rows_of(survey.trials); ++row) now.insert(cell_text(survey.trials, "name", row));
  std::erase_if(before, [&](const std::string& name) { return now.contains(name); });
  if (before.empty()) return;
  fail(ErrorKind::Input,
       "{}: holds {} result{} that cannot be read any more ({}{}) and is kept; --replace writes the survey without {}",
       target.string(), before.size(), before.size() == 1 ? "" : "s", before.front(), before.size() == 1 ? "" : ", ...",
       before.size() == 1 ? "it" : "them");
}

}  // namespace

void add_collect_options(VerbOptions& options) {
  namespace po = boost::program_options;
  options.add_options()("place", po::value<std::string>(), "output directory of winnow run")(
      "output,o", po::value<std::string>(), "survey file (default: OUT/survey.h5)")(
      "pack", "copy the weights; without it the survey links to the result files")(
      "replace", "also where the survey that is there holds results that cannot be read any more")("json",
                                                                                                   "one JSON object");
}

int run_collect(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  const auto given = parse_arguments("collect", args, out);
  if (!given) return 0;
  const fs::path folder = place_of(*given);
  const fs::path target =
      given->contains("output") ? fs::path((*given)["output"].as<std::string>()) : folder / "survey.h5";
  PosixFiles files;
  const auto before = check_target(files, target, folder);
  auto damaged = nlohmann::ordered_json::array();
  const auto accept = [&](const Survey& survey) {
    for (const MissingTrial& trial : survey.missing) {
      if (trial.state != "damaged") continue;
      err << "warning: " << trial.reason << "\n";
      damaged.push_back({{"name", trial.name}, {"reason", trial.reason}});
    }
    if (!given->contains("replace")) check_not_poorer(before, survey, target);
  };
  const auto [made, trials, planned] = collect_survey(
      files, folder, target, given->contains("pack") ? SurveyWeights::Pack : SurveyWeights::Link, accept);
  if (given->contains("json")) {
    write_json(out, {{"schema", "winnow-collect"},
                     {"schema_version", "1.0"},
                     {"file", target.string()},
                     {"made", made},
                     {"trials", trials},
                     {"planned", planned},
                     {"without_result", planned - trials},
                     {"damaged", damaged}});
    return 0;
  }
  out << fmt::format("{}: {}{} of {}, {} without a result\n", target.string(), made ? "" : "up to date, ", trials,
                     counted(planned, "trial"), planned - trials);
  return 0;
}

}  // namespace winnow
