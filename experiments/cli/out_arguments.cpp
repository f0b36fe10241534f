#include "experiments/cli/out_arguments.h"

#include <ostream>

#include "core/error.h"
#include "experiments/cli/options.h"

namespace winnow {

namespace po = boost::program_options;

std::optional<OutArguments> parse_out_arguments(std::span<const std::string> args,
                                                const po::options_description& options, std::ostream& out) {
  OutArguments result;
  po::options_description all;
  all.add(options).add_options()("help,h", "this text")("place", po::value(&result.place));
  po::positional_options_description positions;
  positions.add("place", 1);
  try {
    const std::vector<std::string> words(args.begin(), args.end());
    po::store(po::command_line_parser(words).options(all).positional(positions).style(kWholeOptions).run(),
              result.given);
    po::notify(result.given);
  } catch (const po::error& error) {
    fail(ErrorKind::Usage, "{}; --help lists the options", error.what());
  }
  if (result.has("help")) {
    out << options;
    return std::nullopt;
  }
  return result;
}

}  // namespace winnow
