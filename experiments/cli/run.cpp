#include "experiments/run/run_sweep.h"

#include <ostream>

#include "core/error.h"
#include "experiments/cli/options.h"
#include "experiments/cli/verbs.h"

namespace winnow {

namespace po = boost::program_options;

void add_run_options(VerbOptions& options) {
  add_sweep_options(options);
  options.add_options()("ranks-per-trial", po::value<int>(), "ranks that train one trial together")(
      "threads", po::value<int>()->default_value(0), "threads of one rank; 0: its share of the cores it is bound to")(
      "no-retry", "leave trials alone that failed before")("strict", "exit code 3 if a trial failed or diverged")(
      "quiet,q", "no progress");
}

int run_run(std::span<const std::string> args, std::ostream& out, std::ostream&) {
  const auto parsed = parse_arguments("run", args, out);
  if (!parsed) return 0;
  const po::variables_map& given = *parsed;
  SweepArguments arguments = sweep_arguments(given);
  if (given.contains("ranks-per-trial")) {
    // As a setting it is checked like one: it must divide the batch.
    arguments.expand.set.push_back(fmt::format("ranks={}", given["ranks-per-trial"].as<int>()));
  }
  if (given["threads"].as<int>() < 0) fail(ErrorKind::Usage, "--threads must be 0 or more");

  RunOptions run;
  run.out = arguments.out;
  run.threads = given["threads"].as<int>();
  run.retry_failed = !given.contains("no-retry");
  run.strict = given.contains("strict");
  run.quiet = given.contains("quiet");
  run.command_line = "winnow run";
  for (const std::string& arg : args) run.command_line += " " + arg;
  return run_sweep(load_sweep(arguments.sweep, catalog(), arguments.expand), run);
}

}  // namespace winnow
