// `winnow init`: a sweep file to start from, small enough to be run as it is.
#include <nlohmann/json.hpp>
#include <ostream>

#include "core/error.h"
#include "experiments/cli/json_output.h"
#include "experiments/cli/options.h"
#include "experiments/cli/verbs.h"
#include "experiments/results/files.h"
#include "experiments/text.h"

namespace winnow {
namespace {

constexpr const char* kSweep = R"(sweep: start              # 14 trials, about 15 s on two cores
schema: 1
trial:
  data:  {name: fashion-mnist}       # found where the package dataset-fashion-mnist puts it; else root: FOLDER
  model: {name: lenet300}
  train: {epochs: 3, batch: 128, lr: 0.05, schedule: {kind: cosine}}
axes:                                # the trials are the product of this list
  - cases:
      - {name: dense}                # the baseline of every comparison
      - {name: magnitude, axes: [{method.density: [0.1, 0.02]}]}
      - {name: snip,      axes: [{method.density: [0.1, 0.02]}]}
      - {name: rigl,      axes: [{method.density: [0.1, 0.02]}]}
    key: method.name
  - replicate: 2                     # two seeds each
pair: data_order                     # all methods see the same batches
)";

}  // namespace

void add_init_options(VerbOptions& options) {
  options.add_options()("file", boost::program_options::value<std::string>()->default_value("sweep.yaml"),
                        "file to write; none is replaced (default: sweep.yaml; -: standard output)")("json",
                                                                                                     "one JSON object");
}

int run_init(std::span<const std::string> args, std::ostream& out, std::ostream&) {
  const auto given = parse_arguments("init", args, out);
  if (!given) return 0;
  const std::string path = (*given)["file"].as<std::string>();
  const bool to_file = path != "-";
  if (to_file) {
    PosixFiles files;
    if (files.exists(path)) fail(ErrorKind::Usage, "{}: is there already; winnow init FILE writes another one", path);
    files.replace(path, kSweep);
  }
  const std::string word = shell_quoted(path);
  const std::string next = fmt::format("winnow plan {} && winnow run {} && winnow report", word, word);
  if (given->contains("json")) {
    const auto or_null = [&](const std::string& words) {
      return to_file ? nlohmann::ordered_json(words) : nlohmann::ordered_json();
    };
    write_json(out, {{"schema", "winnow-init"},
                     {"schema_version", "1.0"},
                     {"file", or_null(path)},
                     {"text", kSweep},
                     {"next", or_null(next)}});
  } else if (to_file) {
    out << fmt::format("{}: written\nnext   {}\n", path, next);
  } else {
    out << kSweep;
  }
  return 0;
}

}  // namespace winnow
