#include "experiments/results/survey_inputs.h"

#include <algorithm>

#include "core/error.h"
#include "experiments/data/digest.h"
#include "experiments/results/layout.h"
#include "experiments/results/trial_file.h"

namespace winnow {

SurveyInputs survey_inputs(Files& files, const std::filesystem::path& out) {
  const Layout layout(out);
  SurveyInputs inputs;
  inputs.status = read_status(files, out, unix_now());
  for (auto& trial : read_plan(files, out)) inputs.planned[trial.name] = std::move(trial.canonical);
  // Those that `status` saw, so that every trial is in one place: one that ends meanwhile is still in work.
  inputs.names = inputs.status.done;
  inputs.names.insert(inputs.names.end(), inputs.status.diverged.begin(), inputs.status.diverged.end());
  for (const auto& damaged : inputs.status.damaged) inputs.names.push_back(damaged.name);
  std::ranges::sort(inputs.names);
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
    Files::Stamp stamp;
    try {
      stamp = files.stamp(inputs.paths[i]).value_or(stamp);
    } catch (const Error& error) {
      if (!is_unreadable(error)) throw;  // else who reads it will say so
    }
    sum.update(fmt::format("{} {} {}", inputs.paths[i].filename().string(), stamp.size, stamp.modified));
  }
  const SweepStatus& status = inputs.status;
  sum.update(fmt::format("{} finished", status.done.size() + status.diverged.size() + status.damaged.size()));
  const auto add = [&](const char* state, const std::string& name, const std::string& words) {
    sum.update(state);
    sum.update(name);
    sum.update(words);
  };
  for (const auto& trial : status.failed) add("failed", trial.name, trial.reason);
  for (const auto& trial : status.running) add("running", trial.name, trial.label);
  for (const auto& trial : status.missing) add("missing", trial.name, trial.canonical);
  for (const auto& [name, canonical] : inputs.planned) add("planned", name, canonical);
  sum.update(std::to_string(status.planned));
  return sum.hex();
}

}  // namespace winnow
