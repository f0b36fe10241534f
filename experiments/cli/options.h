// What several verbs share: parsing with Boost.Program_options by the table of verbs, and the arguments of plan and run.
#pragma once

#include <boost/program_options.hpp>
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <span>
#include <string>

#include "experiments/sweep/sweep.h"

namespace winnow {

// Where results go, and where they are looked for.
inline constexpr const char* kDefaultOut = "out";

// The options of the verb, by its line in the table; its argument without a name goes to the option that the table says.
// Nothing if only help was asked for, which is then on `out`. Error{Usage} otherwise, naming `winnow help VERB`.
std::optional<boost::program_options::variables_map> parse_arguments(const char* verb,
                                                                     std::span<const std::string> args,
                                                                     std::ostream& out);
// The options of a verb as help shows them, without the one that its argument fills.
boost::program_options::options_description shown_options(const std::string& verb);
void print_verb_help(const std::string& verb, std::ostream& out);

// The output directory that a reader was given; else the working directory if it is one, else kDefaultOut.
std::filesystem::path place_of(const boost::program_options::variables_map& given);
std::filesystem::path default_place();  // where none was given

// A number of threads or processes, `least` to what one machine can use and is sure to start. Error{Usage} for others.
int count_of(const boost::program_options::variables_map& given, const char* option, int least);

// Of --deal; empty: not given. Error{Usage} for what cannot be one.
std::string deal_name(const boost::program_options::variables_map& given);

// SWEEP, -o, --set, --only, --device, --smoke.
void add_sweep_options(boost::program_options::options_description& options);
// --ranks-per-trial, of the verbs that train.
void add_ranks_option(boost::program_options::options_description& options);
struct SweepArguments {
  std::filesystem::path sweep, out;
  ExpandOptions expand;  // with the checks of this build
};
// A smoke run gets a folder of its own below `out`, so that its results never count as real ones.
SweepArguments sweep_arguments(const boost::program_options::variables_map& given);

}  // namespace winnow
