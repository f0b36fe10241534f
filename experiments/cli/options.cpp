#include "experiments/cli/options.h"

#include <algorithm>
#include <cmath>
#include <ostream>

#include "core/error.h"
#include "experiments/cli/verbs.h"
#include "experiments/data/raw_file.h"
#include "experiments/data/registry.h"
#include "experiments/results/layout.h"
#include "experiments/results/shard_plan.h"
#include "experiments/results/trial_file.h"
#include "experiments/run/trial_setup.h"

namespace winnow {

namespace po = boost::program_options;

namespace {

// Abbreviated options would change their meaning whenever an option is added.
constexpr int kWholeOptions = po::command_line_style::default_style & ~po::command_line_style::allow_guessing;

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

std::optional<po::variables_map> parse_arguments(const char* name, std::span<const std::string> args,
                                                 std::ostream& out) {
  const Verb& verb = find_verb(name);
  po::options_description options;
  verb.add_options(options);
  options.add_options()("help,h", "this text");
  po::positional_options_description place;
  if (*verb.place != '\0')
    place.add(verb.place, std::string_view(verb.argument).find("...") == std::string_view::npos ? 1 : -1);
  po::variables_map given;
  try {
    const std::vector<std::string> words(args.begin(), args.end());
    po::store(po::command_line_parser(words).options(options).positional(place).style(kWholeOptions).run(), given);
    po::notify(given);
  } catch (const po::error& error) {
    fail(ErrorKind::Usage, "{}   (winnow help {} lists the options)", error.what(), name);
  }
  for (const auto& [option, value] : given) {
    const auto* text = boost::any_cast<std::string>(&value.value());
    const auto* texts = boost::any_cast<std::vector<std::string>>(&value.value());
    const bool empty =
        (text != nullptr && text->empty()) || (texts != nullptr && std::ranges::find(*texts, "") != texts->end());
    if (!empty) continue;
    if (options.find(option, false).semantic()->max_tokens() == 0) continue;  // a flag
    fail(ErrorKind::Usage, "'{}' is given an empty text; is a variable of the shell not set?", option);
  }
  if (!given.contains("help")) return given;
  print_verb_help(name, out);
  return std::nullopt;
}

po::options_description shown_options(const std::string& name) {
  const Verb& verb = find_verb(name);
  po::options_description all, shown;
  verb.add_options(all);
  all.add_options()("help,h", "this text");
  for (const auto& option : all.options()) {
    if (option->long_name() != verb.place) shown.add(option);
  }
  return shown;
}

void print_verb_help(const std::string& name, std::ostream& out) {
  const Verb& verb = find_verb(name);
  out << fmt::format("winnow {}{}{} [options]\n  {}\n\n", verb.name, *verb.argument == '\0' ? "" : " ", verb.argument,
                     verb.meaning)
      << shown_options(name);
}

int count_of(const po::variables_map& given, const char* option, int least) {
  constexpr int kMost = 1024;
  const int count = given[option].as<int>();
  if (count < least || count > kMost) {
    fail(ErrorKind::Usage, "--{} must be {} to {}, is {}", option, least, kMost, count);
  }
  return count;
}

std::string deal_name(const po::variables_map& given) {
  if (!given.contains("deal")) return "";
  const std::string& name = given["deal"].as<std::string>();
  if (is_deal_name(name)) return name;
  fail(ErrorKind::Usage, "--deal must be a name of up to 64 letters, digits, - and _, is '{}'", name);
}

std::filesystem::path place_of(const po::variables_map& given) {
  if (given.contains("place")) return given["place"].as<std::string>();
  return default_place();
}

std::filesystem::path default_place() {
  PosixFiles files;
  const Layout here(".");
  return files.exists(here.plan()) || files.exists(here.trials()) ? "." : kDefaultOut;
}

void add_sweep_options(po::options_description& options) {
  using Texts = std::vector<std::string>;
  options.add_options()("sweep", po::value<std::string>(), "sweep file")(
      "out,o", po::value<std::string>()->default_value(kDefaultOut), "folder of the results")(
      "set", po::value<Texts>()->composing(),
      "KEY=VALUE: replaces a setting or an axis of the file; KEY=[A, B]: an axis")(
      "only", po::value<Texts>()->composing(), "KEY=VALUE or KEY=[A, B]: only trials that match")(
      "device", po::value<std::string>(), "what trains: auto, cpu or cuda; as --set train.device=...")(
      "smoke", "2 epochs, 1 % of the data or two batches, one trial per case, results in OUT/smoke");
}

void add_ranks_option(po::options_description& options) {
  options.add_options()("ranks-per-trial", po::value<int>(), "ranks that train one trial together");
}

SweepArguments sweep_arguments(const po::variables_map& given) {
  if (!given.contains("sweep")) fail(ErrorKind::Usage, "which sweep file?   (winnow init writes one to start from)");
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
                      .check = check_of_sweep(),
                      .remarks = trial_remarks,
                      .depends_on_ranks = depends_on_ranks,
                      .content = start_content};
  if (given.contains("device")) {
    const std::string device = given["device"].as<std::string>();
    arguments.expand.options.push_back({"--device " + device, "train.device=" + device});
  }
  if (given.contains("ranks-per-trial")) {
    // As a setting it is checked like one: it must divide the batch.
    const int ranks = given["ranks-per-trial"].as<int>();
    arguments.expand.options.push_back({fmt::format("--ranks-per-trial {}", ranks), fmt::format("ranks={}", ranks)});
  }
  if (arguments.expand.smoke) arguments.out = Layout(arguments.out).smoke();
  return arguments;
}

}  // namespace winnow
