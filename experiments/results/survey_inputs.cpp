#include "experiments/results/survey_inputs.h"

#include "core/error.h"
#include "experiments/data/digest.h"
#include "experiments/results/layout.h"

namespace winnow {

SurveyInputs survey_inputs(Files& files, const std::filesystem::path& out) {
  check_output_directory(files, out);
  const Layout layout(out);
  SurveyInputs inputs;
  // First: a trial that ends meanwhile is in work here and has a result below, which counts.
  inputs.status = read_status(files, out, unix_now());
  for (auto& trial : read_plan(files, out)) inputs.planned[trial.name] = std::move(trial.canonical);
  inputs.names = published_trials(files, out);
  for (const auto& name : inputs.names) inputs.paths.push_back(layout.trial(name));
  for (const auto& name : stopped_trials(files, out)) {
    if (files.exists(layout.failure(name))) continue;  // it went on, and failed
    inputs.names.push_back(name);
    inputs.paths.push_back(layout.stopped(name));
  }
  return inputs;
}

std::string digest_of(Files& files, const SurveyInputs& inputs) {
  Sha256 sum;
  for (std::size_t i = 0; i < inputs.paths.size(); ++i) {
    const auto stamp = files.stamp(inputs.paths[i]).value_or(Files::Stamp{});
    const auto folder = inputs.paths[i].parent_path().filename().string();
    sum.update(fmt::format("{}/{} {} {}", folder, inputs.names[i], stamp.size, stamp.modified));
  }
  const auto add = [&](const char* state, const std::string& name, const std::string& words) {
    sum.update(state);
    sum.update(name);
    sum.update(words);
  };
  for (const auto& trial : inputs.status.failed) add("failed", trial.name, trial.reason);
  for (const auto& trial : inputs.status.running) add("running", trial.name, trial.label);
  for (const auto& trial : inputs.status.missing) add("missing", trial.name, trial.canonical);
  for (const auto& [name, canonical] : inputs.planned) add("planned", name, canonical);
  sum.update(std::to_string(inputs.status.planned));
  return sum.hex();
}

}  // namespace winnow
