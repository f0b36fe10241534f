#include "experiments/run/run_sweep.h"

#include <ostream>

#include "core/error.h"
#include "distributed/launch.h"
#include "experiments/cli/options.h"
#include "experiments/cli/verbs.h"

namespace winnow {

namespace po = boost::program_options;

namespace {
constexpr int kMost = 1024;  // threads or processes: beyond what one machine can use, and still sure to start
}

void add_run_options(VerbOptions& options) {
  add_sweep_options(options);
  options.add_options()("ranks-per-trial", po::value<int>(), "ranks that train one trial together")(
      "workers", po::value<int>()->default_value(0),
      "trials trained at the same time, without mpirun; 0: one for each core that this process may use")(
      "threads", po::value<int>()->default_value(0), "threads of one trial; 0: the cores that are left for it")(
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
  for (const char* option : {"threads", "workers"}) {
    if (given[option].as<int>() < 0 || given[option].as<int>() > kMost) {
      fail(ErrorKind::Usage, "--{} must be 0 to {}, is {}", option, kMost, given[option].as<int>());
    }
  }

  RunOptions run;
  run.out = arguments.out;
  run.threads = given["threads"].as<int>();
  run.workers = given["workers"].as<int>();
  run.retry_failed = !given.contains("no-retry");
  run.strict = given.contains("strict");
  run.quiet = given.contains("quiet");
  run.command_line = "winnow run";
  for (const std::string& arg : args) run.command_line += " " + arg;
  const auto world = make_world();
  if (read_launch().needs_mpi() && run.workers > 0) {
    fail(ErrorKind::Usage, "--workers is for a run without mpirun or srun, whose ranks do the same");
  }
  PosixFiles files;
  return run_sweep(
      *world, files, [&] { return load_sweep(arguments.sweep, catalog(), arguments.expand); }, run);
}

}  // namespace winnow
