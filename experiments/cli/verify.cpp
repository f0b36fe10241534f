// `winnow verify`: checks all that an output directory holds, or trains one of its trials again and compares.
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <iostream>
#include <nlohmann/json.hpp>
#include <ostream>

#include "core/clock.h"
#include "core/error.h"
#include "distributed/launch.h"
#include "experiments/cli/json_output.h"
#include "experiments/cli/options.h"
#include "experiments/cli/verbs.h"
#include "experiments/run/terminal.h"
#include "experiments/run/terminal_text.h"
#include "experiments/text.h"
#include "experiments/verify/replay.h"
#include "experiments/verify/verify.h"

namespace winnow {
namespace {

namespace fs = std::filesystem;
namespace po = boost::program_options;
using VerifyJson = nlohmann::ordered_json;

constexpr int kFault = static_cast<int>(ErrorKind::Input);
constexpr int kIncomplete = 3;
constexpr std::size_t kShownMissing = 20;

// On a terminal, a line that is written over.
VerifyProgress progress_on(std::ostream& err) {
  const bool live = err.rdbuf() == std::cerr.rdbuf() && terminal_of(STDERR_FILENO).live;
  if (!live) return {};
  return [&err, told = seconds_now()](std::size_t done, std::size_t of) mutable {
    constexpr double kTellEach = 0.5;  // s
    if (done < of && seconds_now() - told < kTellEach) return;
    told = seconds_now();
    err << CursorControl{done < of ? "\r" : "\r\033[K"};
    if (done < of) err << fmt::format("{} of {} looked at", done, counted(of, "result"));
    err << std::flush;
  };
}

VerifyJson json_of(const Verification& found) {
  VerifyJson json = {{"schema", "winnow-verify"}, {"schema_version", "1.1"}};
  json["checked"] = {{"results", found.results},         {"plans", found.plans},     {"journals", found.journals},
                     {"checkpoints", found.checkpoints}, {"surveys", found.surveys}, {"records", found.records}};
  json["planned"] = found.planned;
  json["missing"] = VerifyJson::array();
  for (const MissingTrial& trial : found.missing) {
    json["missing"].push_back({{"name", trial.name}, {"state", trial.state}, {"reason", trial.reason}});
  }
  json["faults"] = found.faults;
  json["notes"] = found.notes;
  return json;
}

void print_found(std::ostream& out, const std::string& what, const Verification& found) {
  for (const std::string& line : found.faults) out << line << "\n";
  for (const std::string& line : found.notes) out << "note " << line << "\n";
  for (std::size_t i = 0; i < std::min(found.missing.size(), kShownMissing); ++i) {
    const MissingTrial& trial = found.missing[i];
    out << fmt::format("no result {}  {}{}\n", trial.name, trial.state,
                       trial.reason.empty() ? "" : ": " + trial.reason);
  }
  if (found.missing.size() > kShownMissing) {
    out << fmt::format("no result of {} more (--json lists all)\n", found.missing.size() - kShownMissing);
  }
  out << fmt::format("{}: looked at {}, {}, {}, {}, {}, {}; {} of {} without a result; {}\n", what,
                     counted(found.results, "result"), counted(found.plans, "plan"), counted(found.journals, "journal"),
                     counted(found.checkpoints, "checkpoint"), counted(found.surveys, "survey"),
                     counted(found.records, "other record"), found.missing.size(), counted(found.planned, "trial"),
                     found.faults.empty() ? "no fault" : counted(found.faults.size(), "fault"));
}

VerifyJson json_of(const Replay& replay, bool well) {
  VerifyJson json = {{"schema", "winnow-replay"},    {"schema_version", "1.0"}, {"trial", replay.trial},
                     {"trained", replay.how},        {"same", replay.same},     {"well", well},
                     {"obstacles", replay.obstacles}};
  json["failure"] = replay.failure;
  json["differences"] = VerifyJson::array();
  for (const ContentDifference& each : replay.differences) {
    json["differences"].push_back(
        {{"object", each.object}, {"what", each.what}, {"largest", each.largest}, {"allowed", each.allowed}});
  }
  return json;
}

void print_replay(std::ostream& out, const Replay& replay, const std::optional<double>& tolerance) {
  out << fmt::format("{} was trained {}\n", replay.trial, replay.how);
  for (const std::string& obstacle : replay.obstacles) out << "note " << obstacle << "\n";
  for (const ContentDifference& each : replay.differences) {
    out << fmt::format("{} {}{}\n", each.object, each.what, each.allowed ? " (within the tolerance)" : "");
  }
  if (!replay.failure.empty()) {
    out << fmt::format("{}: trained again it failed: {}\n", replay.trial, replay.failure);
  } else if (replay.same) {
    out << fmt::format("{}: the same, bit for bit but for times ({})\n", replay.trial, replay.seconds);
  } else if (std::ranges::all_of(replay.differences, &ContentDifference::allowed)) {
    out << fmt::format("{}: the same within {}\n", replay.trial, tolerance.value_or(0));
  } else {
    out << fmt::format("{}: another result came out\n", replay.trial);
  }
}

double tolerance_of(const std::string& text) {
  double value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size() || !(value >= 0) || value > 1) {
    fail(ErrorKind::Usage, "--tolerance must be a number from 0 to 1, is '{}'", text);
  }
  return value;
}

int run_replay(const po::variables_map& given, const fs::path& place, std::span<const std::string> args,
               std::ostream& out) {
  const auto world = make_world();
  PosixFiles files;
  ReplayOrder order{
      .out = place,
      .trial = given["replay"].as<std::string>(),
      .scratch = given.contains("scratch") ? fs::path(given["scratch"].as<std::string>()) : fs::temp_directory_path(),
      .command_line = fmt::format("winnow verify {}", fmt::join(args, " "))};
  if (given.contains("tolerance")) order.tolerance = tolerance_of(given["tolerance"].as<std::string>());
  const Replay replay = replay_trial(*world, files, order);
  if (world->rank() != 0) return 0;
  if (replay.code) return *replay.code;
  if (!replay.obstacles.empty() && !order.tolerance) {
    fail(ErrorKind::Site,
         "{} cannot be trained to the same bits here: {}; --tolerance X trains it all the same and allows numbers to "
         "differ by X",
         replay.trial, fmt::join(replay.obstacles, "; "));
  }
  const bool well =
      replay.failure.empty() && (replay.same || std::ranges::all_of(replay.differences, &ContentDifference::allowed));
  if (given.contains("json")) {
    write_json(out, json_of(replay, well));
  } else {
    print_replay(out, replay, order.tolerance);
  }
  return well ? 0 : kFault;
}

}  // namespace

void add_verify_options(VerbOptions& options) {
  options.add_options()("place", po::value<std::vector<std::string>>()->composing(),
                        "output directory of winnow run, or files of one")(
      "replay", po::value<std::string>(),
      "ID: trains this trial again on the CPU, in a folder of its own, and compares; the start of its name is enough")(
      "tolerance", po::value<std::string>(),
      "X: with --replay also where the bits cannot be the same; numbers may differ by X times the larger, or X")(
      "scratch", po::value<std::string>(), "where --replay has its folder (default: that for temporary files)")(
      "strict", "exit code 3 if a trial has no result")("json", "everything, as one JSON object");
}

int run_verify(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  std::ostream nowhere(nullptr);
  const bool first = read_launch().rank == 0;
  const auto given = parse_arguments("verify", args, first ? out : nowhere);
  if (!given) return 0;
  std::vector<fs::path> places;
  if (given->contains("place")) {
    for (const std::string& place : (*given)["place"].as<std::vector<std::string>>()) places.emplace_back(place);
  }
  PosixFiles files;
  if (places.empty()) places.emplace_back(default_place());
  const bool one_folder = places.size() == 1 && (files.is_folder(places[0]) || !files.exists(places[0]));
  if (given->contains("replay")) {
    if (!one_folder) fail(ErrorKind::Usage, "--replay takes the output directory that has the result");
    return run_replay(*given, places[0], args, out);
  }
  if (given->contains("tolerance") || given->contains("scratch")) {
    fail(ErrorKind::Usage, "--tolerance and --scratch are for --replay");
  }
  if (!first) return 0;
  const Verification found =
      one_folder ? verify_directory(files, places[0], progress_on(err)) : verify_files(files, places);
  if (given->contains("json")) {
    write_json(out, json_of(found));
  } else {
    print_found(out, one_folder ? places[0].string() : counted(places.size(), "file"), found);
  }
  if (!found.faults.empty()) return kFault;
  return given->contains("strict") && !found.missing.empty() ? kIncomplete : 0;
}

}  // namespace winnow
