#include "experiments/cli/options.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "experiments/data/raw_file.h"
#include "experiments/data/registry.h"
#include "experiments/results/trial_file.h"
#include "experiments/run/trial_setup.h"

namespace winnow {

namespace po = boost::program_options;

namespace {

// A start file stands for its weights: another path to the same result is the same trial.
std::string start_content(const std::string& path) {
  PosixFiles files;
  return read_header(files, expand_path(path)).content_digest;
}

// 1 %, or what two batches need if that is more.
std::string smoke_fraction(const TrialSpec& spec) {
  Settings data = spec.settings.below("data");
  data.set("fraction", "1");
  const std::int64_t examples = find_dataset(data.text("name")).train_examples(data);
  const double batches = 2.0 * static_cast<double>(spec.settings.integer("train.batch"));
  const double needed = batches / static_cast<double>(std::max<std::int64_t>(examples, 1));
  return fmt::format("{}", std::ceil(std::clamp(needed, 0.01, 1.0) * 1e4) / 1e4);
}

}  // namespace

po::variables_map parse_options(std::span<const std::string> args, const po::options_description& options,
                                const std::vector<std::string>& positional, const std::string& usage) {
  po::positional_options_description places;
  for (const std::string& name : positional) places.add(name.c_str(), 1);
  po::variables_map given;
  try {
    po::store(po::command_line_parser(std::vector<std::string>(args.begin(), args.end()))
                  .options(options)
                  .positional(places)
                  .style(kWholeOptions)
                  .run(),
              given);
    po::notify(given);
  } catch (const po::error& error) {
    fail(ErrorKind::Usage, "{}   (usage: winnow {})", error.what(), usage);
  }
  return given;
}

void add_sweep_options(po::options_description& options) {
  using Texts = std::vector<std::string>;
  options.add_options()("sweep", po::value<std::string>(), "sweep file")(
      "out,o", po::value<std::string>()->default_value("out"), "folder of the results")(
      "set", po::value<Texts>()->composing(),
      "KEY=VALUE: replaces a setting or an axis of the file; KEY=[A, B]: an axis")(
      "only", po::value<Texts>()->composing(), "KEY=VALUE or KEY=[A, B]: only trials that match")(
      "smoke", "2 epochs, 1 % of the data or two batches, one trial per case, results in OUT/smoke")("help,h",
                                                                                                     "this text");
}

SweepArguments sweep_arguments(const po::variables_map& given) {
  if (!given.contains("sweep")) fail(ErrorKind::Usage, "which sweep file?   (winnow help)");
  const auto texts = [&](const char* name) {
    return given.contains(name) ? given[name].as<std::vector<std::string>>() : std::vector<std::string>();
  };
  SweepArguments arguments;
  arguments.sweep = given["sweep"].as<std::string>();
  arguments.out = given["out"].as<std::string>();
  arguments.expand = {.set = texts("set"),
                      .only = texts("only"),
                      .smoke = given.contains("smoke"),
                      .smoke_fraction = smoke_fraction,
                      .check = check_trial,
                      .depends_on_ranks = depends_on_ranks,
                      .content = start_content};
  if (arguments.expand.smoke) arguments.out /= "smoke";
  return arguments;
}

}  // namespace winnow
