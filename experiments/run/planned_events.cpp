#include "experiments/run/planned_events.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "experiments/run/trial_setup.h"

namespace winnow {

EventPlan planned_events(const TrialSpec& spec) {
  const TrialSetup setup(spec);
  const std::unique_ptr<Method> method = setup.method();
  (void)setup.edited(*method);  // what a method does at steps can follow from what it did to the network
  EventPlan plan;
  method->schedule(plan, setup.length());
  return plan;
}

std::string text_of(const EventPlan& plan) {
  std::vector<std::string> parts;
  const auto add = [&parts](const char* what, const StepSet& steps) {
    if (!steps.empty()) parts.push_back(fmt::format("{}: {}", what, steps.text()));
  };
  add("with gradients", plan.after_backward);
  add("dense gradients", plan.dense_gradients);
  add("after updates", plan.after_step);
  std::map<std::string, int> resting;
  for (const auto& [param, steps] : plan.resting) ++resting[steps.text()];
  for (const auto& [steps, count] : resting)
    parts.push_back(fmt::format("{} parameters not trained: {}", count, steps));
  return parts.empty() ? "at the start and end of epochs and phases at most"
                       : fmt::format("{}", fmt::join(parts, "; "));
}

std::string text_of(std::span<const Phase> phases) {
  std::vector<std::string> parts;
  std::int64_t step = 0;
  for (const Phase& phase : phases) {
    std::string& part = parts.emplace_back(phase.name);
    if (phase.trains() && phase.first_step != step) part += fmt::format(" from step {}", phase.first_step);
    if (phase.trains()) part += fmt::format(" to step {}", phase.last_step);
    step = phase.last_step;
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace winnow
