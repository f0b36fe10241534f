#include "experiments/run/run_sweep.h"

#include <charconv>
#include <optional>
#include <ostream>
#include <span>

#include "core/error.h"
#include "distributed/agree.h"
#include "distributed/launch.h"
#include "experiments/cli/event_lines.h"
#include "experiments/cli/options.h"
#include "experiments/cli/verbs.h"
#include "experiments/results/shard_plan.h"

namespace winnow {

namespace po = boost::program_options;

void add_run_options(VerbOptions& options) {
  add_sweep_options(options);
  add_ranks_option(options);
  options.add_options()(
      "workers", po::value<int>()->default_value(0),
      "trials trained at the same time, without mpirun; 0: one for each core that this process may use, or for each "
      "GPU")("trials-per-device", po::value<std::string>()->default_value("auto"),
             "trials that each of these, or each rank of a job with one rank a trial, trains at once on its GPU: a "
             "number, or auto: more and more, as long as that is faster")(
      "threads", po::value<int>()->default_value(0), "threads of one trial; 0: the cores that are left for it")(
      "shard", po::value<std::string>(),
      "I/N: only one of N parts that take about as long each, I from 0 to N - 1; each by a job of its own")(
      "deal", po::value<std::string>(),
      "NAME: with --shard, what all jobs that are submitted together call their parts; a new name deals out anew what "
      "is "
      "not done by then")("no-retry", "leave trials alone that failed before")(
      "strict", "exit code 3 if a trial failed or diverged")("quiet,q", "no progress, only what went wrong")(
      "json", "one JSON object a line for everything that happens, on standard output");
}

namespace {

struct RunArguments {
  SweepArguments sweep;
  RunOptions run;
  bool json = false;
};

// 0: auto.
int trials_per_device(const std::string& text) {
  constexpr int kMost = 64;
  if (text == "auto") return 0;
  int count = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (problem != std::errc() || end != text.data() + text.size() || count < 1 || count > kMost) {
    fail(ErrorKind::Usage, "--trials-per-device must be auto or 1 to {}, is '{}'", kMost, text);
  }
  return count;
}

RunOptions::Shard shard_of(const std::string& text) {
  RunOptions::Shard shard{.number = -1, .of = 0};
  const char* const end = text.data() + text.size();
  const auto number = std::from_chars(text.data(), end, shard.number);
  if (number.ptr != end && *number.ptr == '/') {
    const auto of = std::from_chars(number.ptr + 1, end, shard.of);
    if (of.ec == std::errc() && of.ptr == end && shard.of <= kMostShards && shard.number >= 0 &&
        shard.number < shard.of) {
      return shard;
    }
  }
  fail(ErrorKind::Usage, "--shard must be I/N with I from 0 to N - 1 and N up to {}, is '{}'", kMostShards, text);
}

// Nothing if help was asked for.
std::optional<RunArguments> read_arguments(const char* verb, std::span<const std::string> args, std::ostream& out) {
  const auto parsed = parse_arguments(verb, args, out);
  if (!parsed) return std::nullopt;
  const po::variables_map& given = *parsed;
  RunArguments arguments{sweep_arguments(given), {}, given.contains("json")};
  RunOptions& run = arguments.run;
  run.out = arguments.sweep.out;
  run.threads = count_of(given, "threads", 0);
  run.workers = count_of(given, "workers", 0);
  run.trials_per_device = trials_per_device(given["trials-per-device"].as<std::string>());
  if (given.contains("shard")) run.shard = shard_of(given["shard"].as<std::string>());
  if (const std::string deal = deal_name(given); run.shard) {
    run.shard->deal = deal;
  } else if (!deal.empty()) {
    fail(ErrorKind::Usage, "--deal says which shards --shard I/N is one of, and there is no --shard");
  }
  run.retry_failed = !given.contains("no-retry");
  run.strict = given.contains("strict");
  run.quiet = given.contains("quiet");
  run.command_line = fmt::format("winnow {}", verb);
  for (const std::string& arg : args) run.command_line += " " + arg;
  if (read_launch().needs_mpi() && run.workers > 0) {
    fail(ErrorKind::Usage, "--workers is for a run without mpirun or srun, whose ranks do the same");
  }
  return arguments;
}

// A pipe reaches rank 0 alone, which reads it for all of them.
void share_stream(Communicator& world, SweepArguments& arguments) {
  std::string text;
  char is_stream = 0;
  agree(world, [&] {
    if (world.rank() != 0) return;
    const auto read = read_stream(arguments.sweep);
    is_stream = read ? 1 : 0;
    text = read.value_or("");
  });
  world.broadcast(std::as_writable_bytes(std::span(&is_stream, 1)), 0);
  if (is_stream == 0) return;
  share_text(world, text, 0);
  arguments.expand.text = std::move(text);
}

int train_sweep(const char* verb, std::span<const std::string> args, std::ostream& out) {
  const auto world = make_world();
  PosixFiles files;
  std::optional<EventLines> events;
  return run_sweep(*world, files, [&]() -> std::optional<SweepJob> {
    std::ostream nowhere(nullptr);
    std::optional<RunArguments> arguments;
    agree(*world, [&] { arguments = read_arguments(verb, args, world->rank() == 0 ? out : nowhere); });
    if (!arguments) return std::nullopt;
    if (arguments->json && world->rank() == 0) {
      events.emplace(out);
      arguments->run.listener = [&events](const auto& record) { events->put(record); };
    }
    share_stream(*world, arguments->sweep);
    return SweepJob{arguments->sweep.sweep, arguments->sweep.expand, arguments->run};
  });
}

}  // namespace

bool is_run(const std::string& verb) { return verb == "run" || verb == "resume"; }

int run_run(std::span<const std::string> args, std::ostream& out, std::ostream&) {
  return train_sweep("run", args, out);
}

// A name that people look for; going on is what `run` does anyway.
int run_resume(std::span<const std::string> args, std::ostream& out, std::ostream&) {
  return train_sweep("resume", args, out);
}

}  // namespace winnow
