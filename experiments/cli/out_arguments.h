// Arguments of the verbs that read an output directory: one place (a directory or file) and options.
#pragma once

#include <boost/program_options.hpp>
#include <iosfwd>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace winnow {

struct OutArguments {
  std::string place = ".";
  boost::program_options::variables_map given;
  bool has(const char* option) const { return given.count(option) != 0; }
};

// Nothing if only the help text was asked for (it is then on `out`). Wrong arguments are Error{Usage}.
std::optional<OutArguments> parse_out_arguments(std::span<const std::string> args,
                                                const boost::program_options::options_description& options,
                                                std::ostream& out);

}  // namespace winnow
