// `winnow plan --json`; docs/formats.md describes it.
#include <nlohmann/json.hpp>
#include <ostream>
#include <utility>

#include "experiments/cli/sweep_plan.h"

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

Json head_of(const SweepPlan& plan) {
  const SweepPlan::Totals totals = plan.totals();
  Json json = {{"schema", "winnow-plan"},
               {"schema_version", "1.3"},
               {"sweep", plan.sweep.name},
               {"configurations", plan.sweep.configurations},
               {"duplicates", plan.sweep.duplicates},
               {"done", totals.done},
               {"seconds", totals.seconds},
               {"seconds_measured_by", plan.measured.size()},
               {"flops", totals.flops}};
  json["left_out"] = Json::array();
  for (const LeftOut& left : plan.sweep.left_out) {
    json["left_out"].push_back({{"rule", left.rule}, {"where", left.where}, {"count", left.count}});
  }
  json["notes"] = plan.sweep.notes;
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
                 {"done", plan.done.contains(spec.name())},
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
                 {"phases", json_of(plan.phases[configuration.phases])},
                 {"needs", json_of(spec.needs)},
                 {"settings", spec.settings.values()}});
  }
  out << "\n  ]\n}\n";
}

}  // namespace winnow
