// What `winnow VERB [SWEEP|OUT] [-o OUT] [--trial ID...]` speaks of: an output directory, and some or all of its trials. Plain
// values; looking changes nothing.
#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "experiments/cli/options.h"
#include "experiments/results/plan_file.h"

namespace winnow {

// The options of SWEEP, and --trial.
void add_chosen_options(boost::program_options::options_description& options);

struct ChosenTrials {
  std::filesystem::path out;
  std::string out_word;               // as a command line has it, where --smoke says that a folder of it is meant
  std::string sweep_words = "SWEEP";  // of a command line: the sweep with its --set and --only, if one was given
  std::optional<std::set<std::string>> names;  // nothing: all trials of the directory
  bool by_name = false;                        // they are those of --trial
  bool has(const std::string& name) const { return !names || names->contains(name); }
};
// Error{Usage, Input}: a trial that is not there, or several where one is meant.
ChosenTrials chosen_trials(Files& files, const boost::program_options::variables_map& given);

// The one whose name begins with this, of all that the directory knows: by its plans, results, failures and checkpoints.
std::string find_trial_name(Files& files, const std::filesystem::path& out, std::span<const PlannedTrial> plan,
                            const std::string& start);

}  // namespace winnow
