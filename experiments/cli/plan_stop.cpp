// What `winnow plan` says of a rule that stops trials early.
#include <algorithm>

#include "experiments/cli/sweep_plan.h"
#include "experiments/results/layout.h"
#include "experiments/run/rung_board.h"
#include "experiments/run/rung_forecast.h"
#include "experiments/run/rung_table.h"
#include "experiments/text.h"

namespace winnow {
namespace {

constexpr std::size_t kListedContests = 20;

// By what is on disk now; looking changes nothing.
std::size_t left_by_rule(const SweepPlan& plan) {
  PosixFiles files;
  RungTable table = RungBoard(files, plan.arguments.out, *plan.sweep.stop, plan.sweep.trials).table();
  while (const auto step = table.next()) table.promote(*step);
  std::size_t left = 0;
  for (std::size_t at = 0; at < plan.sweep.trials.size(); ++at) left += !plan.is_done(at) && table.is_due(at) ? 1 : 0;
  return left;
}

}  // namespace

std::string stop_text(const SweepPlan& plan) {
  if (!plan.sweep.stop) return "";
  const StopRule& rule = *plan.sweep.stop;
  const RungForecast known = forecast(rule, plan.sweep.trials);
  std::string text = fmt::format("stop   {}\n", rule.text());
  std::size_t shown = 0;
  for (const auto& [group, rungs] : known.groups) {
    if (rungs.empty() || ++shown > kListedContests) continue;
    text += fmt::format("       {}:{}", group.empty() ? "all trials" : group, known.exact ? "" : " at least");
    for (const auto& rung : rungs) text += fmt::format(" {} to {}ep,", rung.trials, rung.epochs);
    text += fmt::format(" {} to the end\n", rungs.back().go_on);
  }
  if (shown > kListedContests)
    text += fmt::format("       and {} more groups (--json lists them)\n", shown - kListedContests);
  text += fmt::format("       {}{:.0f} epochs in place of {:.0f} ({:.0f} %), {} of {} to {} end; now {} to train\n",
                      known.exact ? "" : "at least ", known.epochs, known.full, 100 * known.epochs / known.full,
                      known.finished, counted(plan.sweep.trials.size(), "trial"), known.finished == 1 ? "its" : "their",
                      left_by_rule(plan));
  std::size_t phased = 0;
  for (const PlannedConfiguration& one : plan.configurations) phased += plan.phases[one.phases].size() > 1 ? 1 : 0;
  // Those that go on with further training runs can be stopped after the first one.
  const auto is_stopped_early = [](const Contestant& one) {
    return !one.rungs.empty() && judged_after(one.rungs.front(), one.eval_every) < one.epochs;
  };
  if (phased == 0 && std::ranges::none_of(contestants(rule, plan.sweep.trials), is_stopped_early)) {
    text += fmt::format(
        "       nothing is stopped: no trial has an evaluation ('{}') after {}ep or later and before its end\n",
        kEvalEvery, rule.min);
  }
  if (phased > 0) {
    text += fmt::format("       {} do several training runs: at a rung it is the network of the first that is judged\n",
                        counted(phased, "configuration"));
  }
  return text;
}

}  // namespace winnow
