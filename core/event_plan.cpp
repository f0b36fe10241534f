#include "core/event_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"

namespace winnow {
namespace {

std::string text_of(const StepRule& rule) {
  if (rule.from == rule.until) return fmt::format("step {}", rule.from);
  std::string text = rule.every == 1 ? "every step" : fmt::format("every {} steps", rule.every);
  if (rule.from > 0 || rule.every > 1) text += fmt::format(" from {}", rule.from);
  if (rule.until != StepRule::kEnd) text += fmt::format(" to {}", rule.until);
  return text;
}

}  // namespace

void StepSet::add(StepRule rule) {
  if (rule.every < 1) fail(ErrorKind::Internal, "a method acts every {} steps", rule.every);
  if (rule.until < rule.from) return;
  if (rule.until != StepRule::kEnd) rule.until -= (rule.until - rule.from) % rule.every;
  if (rule.until == rule.from) rule.every = 1;
  const auto place = std::ranges::lower_bound(rules_, rule);
  if (place == rules_.end() || *place != rule) rules_.insert(place, rule);
}

void StepSet::add(const StepSet& other) {
  for (const StepRule& rule : other.rules_) add(rule);
}

bool StepSet::contains(std::int64_t step) const {
  return std::ranges::any_of(rules_, [step](const StepRule& rule) { return rule.contains(step); });
}

std::int64_t StepSet::next_change(std::int64_t step) const {
  const bool now = contains(step);
  while (step != StepRule::kEnd) {
    std::int64_t next = StepRule::kEnd;  // the first later step at which a rule begins or ends
    for (const StepRule& rule : rules_) {
      if (step < rule.from) {
        next = std::min(next, rule.from);
      } else if (step <= rule.until && rule.every > 1) {
        next = std::min(next, step + 1);
      } else if (step <= rule.until && rule.until != StepRule::kEnd) {
        next = std::min(next, rule.until + 1);
      }
    }
    step = next;
    if (step != StepRule::kEnd && contains(step) != now) break;
  }
  return step;
}

std::string StepSet::text() const {
  std::vector<std::string> texts;
  for (const StepRule& rule : rules_) texts.push_back(text_of(rule));
  return fmt::format("{}", fmt::join(texts, ", "));
}

void EventPlan::add(const EventPlan& other) {
  after_backward.add(other.after_backward);
  dense_gradients.add(other.dense_gradients);
  after_step.add(other.after_step);
  for (const auto& [param, steps] : other.resting) resting[param].add(steps);
}

std::vector<ParamId> EventPlan::resting_at(std::int64_t step) const {
  std::vector<ParamId> found;
  for (const auto& [param, steps] : resting) {
    if (steps.contains(step)) found.push_back(param);
  }
  return found;
}

std::int64_t EventPlan::next_resting_change(std::int64_t step) const {
  std::int64_t next = StepRule::kEnd;
  for (const auto& [param, steps] : resting) next = std::min(next, steps.next_change(step));
  return next;
}

}  // namespace winnow
