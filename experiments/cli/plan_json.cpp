// `winnow plan --json`; docs/formats.md describes it.
#include <nlohmann/json.hpp>
#include <ostream>
#include <utility>

#include "experiments/cli/sweep_plan.h"
#include "experiments/run/rung_forecast.h"
#include "experiments/run/shard_assignment.h"

namespace winnow {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(std::span<const Phase> phases) {
  Json list = Json::array();
  for (const Phase& phase : phases) {
    list.push_back({{"name", phase.name}, {"first_step", phase.first_step}, {"last_step", phase.last_step}});
  }
  return list;
}

Json json_of(std::span<const TrialNeed> needs) {
  Json list = Json::array();
  for (const TrialNeed& need : needs) list.push_back({{"setting", need.key}, {"trial", need.trial}});
  return list;
}

Json space_json(const SweepPlan& plan) {
  const SpaceNeeded space = space_of(plan);
  return {{"files", space.files},
          {"bytes", space.bytes},
          {"result_bytes", space.result_bytes},
          {"result_bytes_measured_by", plan.results.sizes.size()},
          {"files_in_work", space.files_in_work},
          {"bytes_in_work", space.bytes_in_work}};
}

Json stop_json(const StopRule& rule, const TrialTable& trials) {
  const RungForecast known = forecast(rule, trials);
  Json groups = Json::array();
  for (const auto& [group, rungs] : known.groups) {
    Json list = Json::array();
    for (const auto& rung : rungs)
      list.push_back({{"epochs", rung.epochs}, {"trials", rung.trials}, {"go_on", rung.go_on}});
    groups.push_back({{"group", group}, {"rungs", std::move(list)}});
  }
  return {{"rule", rule.text()},
          {"groups", std::move(groups)},
          {"epochs", known.epochs},
          {"epochs_without", known.full},
          {"finished", known.finished}};
}

Json shards_json(const SweepPlan& plan) {
  Json parts = Json::array();
  for (const PlannedShard& part : parts_of(plan)) {
    parts.push_back({{"trials", part.trials}, {"done", part.done}, {"seconds", part.seconds}});
  }
  const ShardLoad load = load_of(plan.shards->plan.costs, plan.shards->plan.shard_of, plan.shards->count);
  return {{"count", plan.shards->count}, {"deal", plan.shards->deal},       {"dealt", plan.shards->dealt},
          {"seconds_mean", load.mean},   {"seconds_longest", load.longest}, {"parts", std::move(parts)}};
}

Json head_of(const SweepPlan& plan) {
  const SweepPlan::Totals totals = plan.totals();
  Json json = {{"schema", "winnow-plan"},
               {"schema_version", "1.4"},
               {"sweep", plan.sweep.name},
               {"configurations", plan.sweep.configurations},
               {"duplicates", plan.sweep.duplicates},
               {"done", totals.done},
               {"seconds", totals.seconds},
               {"seconds_measured_by", plan.results.times.size()},
               {"flops", totals.flops}};
  json["left_out"] = Json::array();
  for (const LeftOut& left : plan.sweep.left_out) {
    json["left_out"].push_back({{"rule", left.rule}, {"where", left.where}, {"count", left.count}});
  }
  json["notes"] = plan.sweep.notes;
  json["space"] = space_json(plan);
  if (plan.sweep.stop) json["stop"] = stop_json(*plan.sweep.stop, plan.sweep.trials);
  if (plan.shards) json["shards"] = shards_json(plan);
  return json;
}

}  // namespace

// Trial by trial: the whole of a large sweep as one object would take more memory than the sweep.
void print_json(std::ostream& out, const SweepPlan& plan) {
  const auto dump = [](const Json& one) { return one.dump(2, ' ', false, Json::error_handler_t::replace); };
  std::string head = dump(head_of(plan));
  head.resize(head.rfind('\n'));  // without the closing brace
  out << head << ",\n  \"trials\": [";
  for (std::size_t at = 0; at < plan.sweep.trials.size(); ++at) {
    const TrialSpec spec = plan.sweep.trials[at];
    const PlannedConfiguration& configuration = plan.of(at);
    const TrialEstimate& cost = configuration.cost;
    out << (at == 0 ? "\n" : ",\n");
    out << dump({{"name", spec.name()},
                 {"id", spec.id},
                 {"replicate", spec.replicate},
                 {"done", plan.is_done(at)},
                 {"ranks", spec.ranks},
                 {"params", cost.params},
                 {"kept", cost.kept},
                 {"kept_at_most", cost.kept_at_most},
                 {"equal_shares", cost.equal_shares},
                 {"macs_dense", cost.macs_dense},
                 {"macs_sparse", cost.macs_sparse},
                 {"memory_bytes", cost.memory_bytes},
                 {"flops", cost.flops},
                 {"seconds", cost.seconds},
                 {"result_bytes", cost.result_bytes},
                 {"checkpoint_bytes", cost.checkpoint_bytes},
                 {"phases", json_of(plan.phases[configuration.phases])},
                 {"needs", json_of(spec.needs)},
                 {"settings", spec.settings.values()}});
  }
  out << "\n  ]\n}\n";
}

}  // namespace winnow
