// What several verbs share: parsing with Boost.Program_options, the arguments of plan and run.
#pragma once

#include <boost/program_options.hpp>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "experiments/sweep/sweep.h"

namespace winnow {

// Abbreviated options would change their meaning whenever an option is added.
inline constexpr int kWholeOptions = boost::program_options::command_line_style::default_style &
                                     ~boost::program_options::command_line_style::allow_guessing;

// Positional arguments go to the options named in `positional`, one each. Error{Usage} with `usage` in its text.
boost::program_options::variables_map parse_options(std::span<const std::string> args,
                                                    const boost::program_options::options_description& options,
                                                    const std::vector<std::string>& positional,
                                                    const std::string& usage);

// SWEEP, -o, --set, --only, --smoke.
void add_sweep_options(boost::program_options::options_description& options);
struct SweepArguments {
  std::filesystem::path sweep, out;
  ExpandOptions expand;  // with the checks of this build
};
// A smoke run gets a folder of its own below `out`, so that its results never count as real ones.
SweepArguments sweep_arguments(const boost::program_options::variables_map& given);

}  // namespace winnow
