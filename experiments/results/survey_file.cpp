// The survey file: writing and reading.
#include "core/error.h"
#include "experiments/results/container.h"
#include "experiments/results/layout.h"
#include "experiments/results/survey.h"
#include "experiments/results/trial_file.h"
#include "winnow_version.h"

namespace winnow {
namespace {

constexpr const char* kSchema = "winnow-survey";
constexpr int kMajor = 1;

Table missing_table(const std::vector<MissingTrial>& missing) {
  std::vector<std::string> names, states, reasons, settings;
  for (const auto& trial : missing) {
    names.push_back(trial.name);
    states.push_back(trial.state);
    reasons.push_back(trial.reason);
    settings.push_back(trial.settings);
  }
  return {{{"name", names}, {"state", states}, {"reason", reasons}, {"settings", settings}}};
}

void add_weights(Hdf5File& file, Files& files, const std::string& name, const std::filesystem::path& out,
                 const std::filesystem::path& survey, SurveyWeights weights) {
  const auto path = Layout(out).trial(name);
  if (weights == SurveyWeights::Link) {
    auto folder = std::filesystem::absolute(survey).parent_path();
    const auto relative =
        std::filesystem::absolute(path).lexically_normal().lexically_relative(folder.lexically_normal());
    file.external_link(relative.string(), "/weights", "/weights/" + name);
    return;
  }
  const auto bytes = files.read(path);
  const Hdf5File trial = open_sealed(bytes, path.string(), "winnow-trial", 1);
  file.copy_from(trial, "/weights", "/weights/" + name);
}

}  // namespace

void write_survey(Files& files, const Survey& survey, const std::filesystem::path& out,
                  const std::filesystem::path& path, SurveyWeights weights) {
  Hdf5File file = Hdf5File::create();
  set_encoding(file, "/", "dict", "0.1.0");
  file.set("/", "schema", kSchema);
  file.set("/", "schema_version", "1.0");
  file.set("/", "writer", "winnow " WINNOW_VERSION);
  file.set("/", "planned", static_cast<std::int64_t>(survey.planned));
  write_table(file, "/trials", survey.trials, true);
  file.make_group("/metrics");
  set_encoding(file, "/metrics", "dict", "0.1.0");
  write_table(file, "/metrics/epoch", survey.epochs, true);
  write_table(file, "/layers", survey.layers, true);
  write_table(file, "/missing", missing_table(survey.missing));
  write_dictionary(file, "/settings", survey.settings);
  file.make_group("/weights");
  set_encoding(file, "/weights", "dict", "0.1.0");
  for (std::size_t row = 0; row < rows_of(survey.trials); ++row) {
    add_weights(file, files, cell_text(survey.trials, "name", row), out, path, weights);
  }
  files.replace(path, std::span<const std::byte>(sealed(file.bytes())));
}

Survey read_survey(Files& files, const std::filesystem::path& path) {
  const auto bytes = files.read(path);
  const Hdf5File file = open_sealed(bytes, path.string(), kSchema, kMajor);
  Survey survey;
  survey.trials = read_table(file, "/trials");
  survey.epochs = read_table(file, "/metrics/epoch");
  survey.layers = read_table(file, "/layers");
  survey.settings = read_dictionary(file, "/settings");
  survey.planned = static_cast<std::size_t>(file.integer("/", "planned"));
  const Table missing = read_table(file, "/missing");
  for (std::size_t row = 0; row < rows_of(missing); ++row) {
    survey.missing.push_back({cell_text(missing, "name", row), cell_text(missing, "state", row),
                              cell_text(missing, "reason", row), cell_text(missing, "settings", row)});
  }
  return survey;
}

bool is_survey(Files& files, const std::filesystem::path& path) {
  try {
    open_sealed(files.read(path), path.string(), kSchema, kMajor);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace winnow
