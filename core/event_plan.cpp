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

std::string StepSet::text() const {
  std::vector<std::string> texts;
  for (const StepRule& rule : rules_) texts.push_back(text_of(rule));
  return fmt::format("{}", fmt::join(texts, ", "));
}

void EventPlan::add(const EventPlan& other) {
  after_backward.add(other.after_backward);
  dense_gradients.add(other.dense_gradients);
  after_step.add(other.after_step);
}

}  // namespace winnow
