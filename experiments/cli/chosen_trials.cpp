#include "experiments/cli/chosen_trials.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

#include "core/error.h"
#include "experiments/results/layout.h"
#include "experiments/results/status.h"
#include "experiments/results/trial_file.h"
#include "experiments/text.h"

namespace winnow {
namespace {

namespace fs = std::filesystem;
namespace po = boost::program_options;

// What chooses and changes trials of a sweep file.
std::string words_of_options(const po::variables_map& given) {
  std::string words;
  for (const char* option : {"set", "only"}) {
    if (!given.contains(option)) continue;
    for (const auto& text : given[option].as<std::vector<std::string>>()) {
      words += fmt::format(" --{} {}", option, shell_quoted(text));
    }
  }
  if (given.contains("device")) words += " --device " + shell_quoted(given["device"].as<std::string>());
  return words + (given.contains("smoke") ? " --smoke" : "");
}

}  // namespace

void add_chosen_options(po::options_description& options) {
  add_sweep_options(options);
  options.add_options()("trial", po::value<std::vector<std::string>>()->composing(),
                        "ID: only the trial whose name begins so, whatever sweep it is of");
}

ChosenTrials chosen_trials(Files& files, const po::variables_map& given) {
  ChosenTrials chosen;
  const bool has_out = !given["out"].defaulted();
  const std::string first = given.contains("sweep") ? given["sweep"].as<std::string>() : "";
  std::error_code missing;
  if (!first.empty() && !fs::is_directory(first, missing)) {
    const SweepArguments arguments = sweep_arguments(given);
    const Sweep sweep = load_sweep(arguments.sweep, catalog(), arguments.expand);
    chosen.out = arguments.out;
    chosen.sweep_words = shell_quoted(first) + words_of_options(given);
    chosen.out_word = given["out"].as<std::string>();
    chosen.names.emplace();
    for (std::size_t at = 0; at < sweep.trials.size(); ++at) chosen.names->insert(sweep.trials.name(at));
  } else if (const std::string words = words_of_options(given); !words.empty()) {
    fail(ErrorKind::Usage, "{} is of a sweep file, and none is given: name it, and the folder by -o OUT",
         words.substr(1));
  } else if (!first.empty() && has_out) {
    fail(ErrorKind::Usage, "{} and -o {} are two folders of results: give one", first, given["out"].as<std::string>());
  } else {
    chosen.out = !first.empty() ? fs::path(first)
                 : has_out      ? fs::path(given["out"].as<std::string>())
                                : default_place();
  }
  if (chosen.out_word.empty()) chosen.out_word = chosen.out.string();
  check_output_directory(files, chosen.out);
  if (!given.contains("trial")) return chosen;
  chosen.by_name = true;
  chosen.names.emplace();
  const auto plan = read_plan(files, chosen.out);
  for (const std::string& start : given["trial"].as<std::vector<std::string>>()) {
    chosen.names->insert(find_trial_name(files, chosen.out, plan, start));
  }
  return chosen;
}

std::string find_trial_name(Files& files, const fs::path& out, std::span<const PlannedTrial> plan,
                            const std::string& start) {
  const Layout layout(out);
  std::set<std::string> found;
  // "3f2a9c1d-r0" is what a terminal has room for.
  const std::size_t dash = std::min(start.find('-'), start.size());
  const auto take = [&](const std::string& name) {
    if (!is_trial_name(name) || !name.starts_with(start.substr(0, dash))) return;
    if (name.starts_with(start) || (dash < start.size() && name.substr(name.find('-')) == start.substr(dash))) {
      found.insert(name);
    }
  };
  for (const PlannedTrial& trial : plan) take(trial.name);
  for (const std::string& name : published_trials(files, out)) take(name);
  for (const std::string& name : stopped_trials(files, out)) take(name);
  for (const std::string& name : files.list(layout.failures())) take(fs::path(name).stem().string());
  for (const std::string& name : files.list(layout.checkpoints())) take(name);
  if (found.size() == 1 || found.contains(start)) return found.contains(start) ? start : *found.begin();
  constexpr std::size_t kNamed = 10;
  std::vector<std::string> some;
  for (const std::string& name : found) {
    if (some.size() < kNamed) some.push_back(name);
  }
  if (found.empty()) fail(ErrorKind::Input, "{}: has no trial whose name begins with '{}'", out.string(), start);
  fail(ErrorKind::Usage, "the names of {} trials begin with '{}': {}{}", found.size(), start, fmt::join(some, ", "),
       found.size() > kNamed ? ", ..." : "");
}

}  // namespace winnow
