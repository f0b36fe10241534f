// `winnow plan --shards N`: how the trials of a sweep are dealt out to jobs that know nothing of each other.
#include <algorithm>
#include <ostream>

#include "experiments/cli/sweep_plan.h"
#include "experiments/report/text_table.h"
#include "experiments/run/shard_assignment.h"
#include "experiments/text.h"

namespace winnow {

void plan_shards(SweepPlan& plan, const Deal& deal) {
  const TrialTable& trials = plan.sweep.trials;
  PosixFiles files;
  auto dealt = read_shards(files, plan.arguments.out, trials, deal);
  plan.shards = SweepPlan::Shards{.count = deal.shards, .deal = deal.name, .dealt = dealt.has_value(), .plan = {}};
  if (dealt) {
    plan.shards->plan = std::move(*dealt);
    return;
  }
  ShardPlan& now = plan.shards->plan;
  for (std::size_t at = 0; at < trials.size(); ++at) now.costs.push_back(plan.seconds_left(at));
  now.shard_of = assign_shards(trials, now.costs, deal.shards);
}

std::vector<PlannedShard> parts_of(const SweepPlan& plan) {
  std::vector<PlannedShard> parts(static_cast<std::size_t>(plan.shards->count));
  for (std::size_t at = 0; at < plan.sweep.trials.size(); ++at) {
    PlannedShard& part = parts[static_cast<std::size_t>(plan.shards->plan.shard_of[at])];
    ++part.trials;
    part.done += plan.is_done(at) ? 1 : 0;
    part.seconds += plan.seconds_left(at);
  }
  return parts;
}

void print_shards(std::ostream& out, const SweepPlan& plan, bool all) {
  constexpr std::size_t kListedShards = 60;
  const ShardLoad load = load_of(plan.shards->plan.costs, plan.shards->plan.shard_of, plan.shards->count);
  out << fmt::format("\n{} of {} on one rank, the longest {:.1f} % above that ({})\n",
                     counted(static_cast<std::size_t>(plan.shards->count), "shard"), duration_text(load.mean),
                     100 * load.above_mean(), plan.shards->dealt ? "as they were dealt" : "as they would be dealt now");
  const std::vector<PlannedShard> parts = parts_of(plan);
  const std::size_t shown = all ? parts.size() : std::min(parts.size(), kListedShards);
  TextTable table;
  table.columns = {{"shard", true, 0, {}}, {"trials", true, 0, {}}, {"done", true, 0, {}}, {"time left", true, 0, {}}};
  for (std::size_t i = 0; i < shown; ++i) {
    const std::string cells[] = {std::to_string(i), std::to_string(parts[i].trials), std::to_string(parts[i].done),
                                 duration_text(parts[i].seconds)};
    for (std::size_t column = 0; column < std::size(cells); ++column) {
      table.columns[column].cells.push_back(cells[column]);
    }
  }
  table.text(out, false, 2);
  if (shown < parts.size()) out << fmt::format("  and {} more (--all lists them)\n", parts.size() - shown);
}

}  // namespace winnow
