// Speed of `winnow collect`: results of many trials are written by the program's own writer, after one that a run wrote, and
// gathered; then a tenth of them more, and gathered again.
// usage: bench_collect RESULT FOLDER TRIALS [EPOCHS]   RESULT: a trial's .h5   FOLDER: where an output directory is made
// EPOCHS: rows of its table of epochs, which are repeated or left out for that; without it as many as there are.
// Prints one JSON object. A folder that has results already is gathered as it is, so that a second call need not write them.
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/clock.h"
#include "core/error.h"
#include "experiments/cli/verbs.h"
#include "experiments/results/plan_file.h"
#include "experiments/results/status.h"
#include "experiments/results/trial_file.h"
#include "experiments/sweep/identity.h"

namespace winnow {
namespace {

constexpr int kReplicates = 5;
constexpr std::int64_t kValues = 64;  // of a tensor

// Other settings, and figures that no filter finds again in another file.
TrialResult varied(const TrialResult& result, std::size_t number) {
  TrialResult trial = result;
  const std::size_t configuration = number / kReplicates;
  trial.spec.replicate = static_cast<std::int64_t>(number % kReplicates);
  const std::string rate = fmt::format("{:.6f}", 1e-6 * static_cast<double>(configuration + 1));
  trial.spec.identity.set("train.lr", rate);
  trial.spec.settings.set("train.lr", rate);
  trial.spec.id = trial_id(trial.spec.canonical());
  const double factor = 1 + 1e-7 * static_cast<double>(number);
  for (auto& [name, value] : trial.summary) value *= factor;
  for (Column& column : trial.epochs.columns) {
    if (auto* values = std::get_if<std::vector<double>>(&column.values)) {
      std::size_t row = number;
      for (double& value : *values)
        value *= factor + 1e-3 * static_cast<double>(++row * 2654435761 % 4294967291) / 4294967291.0;
    }
  }
  return trial;
}

void set_epochs(Table& table, std::size_t count) {
  for (Column& column : table.columns) {
    std::visit(
        [&](auto& values) {
          const std::size_t there = values.size();
          if (there == 0) return;
          values.resize(count);
          for (std::size_t row = there; row < count; ++row) values[row] = values[row % there];
        },
        column.values);
    if (auto* numbers = std::get_if<std::vector<std::int64_t>>(&column.values); numbers && column.name == "epoch") {
      for (std::size_t row = 0; row < count; ++row) (*numbers)[row] = static_cast<std::int64_t>(row + 1);
    }
  }
}

struct Maker {
  Files& files;
  std::filesystem::path out;
  TrialResult like;

  void make(std::size_t first, std::size_t end) const {
    for (std::size_t number = first; number < end; ++number) publish(files, out, varied(like, number));
  }
};

nlohmann::ordered_json collected(const std::filesystem::path& out) {
  const std::vector<std::string> args = {"collect", out.string()};
  std::ostringstream said, problems;
  const double start = seconds_now();
  const int code = run_command_line(args, said, problems);
  const double seconds = seconds_now() - start;
  if (code != 0) fail(ErrorKind::Internal, "{}", problems.str());
  PosixFiles files;
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto trials = static_cast<double>(published_trials(files, out).size());
  return {{"trials", trials},
          {"seconds", seconds},
          {"trials_per_second", trials / seconds},
          {"peak_mib", static_cast<double>(used.ru_maxrss) / 1024}};
}

int run(const std::filesystem::path& result, const std::filesystem::path& out, std::size_t trials, std::size_t epochs) {
  PosixFiles files;
  std::size_t there = published_trials(files, out).size();
  nlohmann::ordered_json figures;
  TrialResult like = read_trial(result);
  like.weights = load_weights(result);
  if (epochs > 0) set_epochs(like.epochs, epochs);
  // Made anew by the writer.
  std::erase_if(like.layers.columns,
                [](const Column& column) { return column.name == "form" || column.name.starts_with("bytes."); });
  for (const char* name : {"numel", "kept", "trainable", "prunable", "stored_bytes"}) {
    std::erase_if(like.layers.columns, [&](const Column& column) { return column.name == name; });
  }
  // Which form is the smallest takes long to work out, and is nothing that `collect` reads.
  for (WeightRecord& weight : like.weights) {
    const std::int64_t count = std::min<std::int64_t>(weight.shape.numel(), kValues);
    weight.values.resize(static_cast<std::size_t>(count));
    weight = {.name = weight.name, .shape = {count}, .values = std::move(weight.values)};
  }
  const Maker maker{files, out, std::move(like)};
  if (there < trials) maker.make(there, trials);
  there = std::max(there, trials);
  std::filesystem::remove(out / "survey.h5");
  figures["first"] = collected(out);
  figures["again"] = collected(out);
  maker.make(there, there + trials / 100);
  figures["with_a_hundredth_more"] = collected(out);
  std::printf("%s\n", figures.dump(2).c_str());
  return 0;
}

}  // namespace
}  // namespace winnow

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) {
    std::fprintf(stderr, "usage: bench_collect RESULT FOLDER TRIALS [EPOCHS]\n");
    return 64;
  }
  return winnow::run(argv[1], argv[2], static_cast<std::size_t>(std::atoi(argv[3])),
                     argc == 5 ? static_cast<std::size_t>(std::atoi(argv[4])) : 0);
}
