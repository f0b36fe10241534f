#include "experiments/cli/sweep_plan.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "experiments/data/missing_data.h"
#include "experiments/results/plan_file.h"
#include "experiments/run/devices.h"

namespace winnow {
namespace {

class Planner {
 public:
  explicit Planner(SweepArguments arguments)
      : plan_{.sweep = load_sweep(arguments.sweep, catalog(), arguments.expand),
              .arguments = std::move(arguments),
              .configurations = {},
              .configuration = {},
              .phases = {},
              .results = {}} {}

  SweepPlan plan() {
    find_configurations();
    find_results();
    correct_estimates();
    note_bounds();
    note_missing_data();
    note_missing_gpu();
    return std::move(plan_);
  }

 private:
  void find_configurations() {
    const TrialTable& trials = plan_.sweep.trials;
    constexpr std::uint32_t kNone = ~std::uint32_t{0};
    plan_.configuration.assign(trials.setups(), kNone);
    std::unordered_map<std::string, std::uint32_t> by_id;
    for (std::size_t at = 0; at < trials.size(); ++at) {
      std::uint32_t& configuration = plan_.configuration[trials.setup(at)];
      if (configuration == kNone) {
        const auto number = static_cast<std::uint32_t>(plan_.configurations.size());
        const auto [known, is_new] = by_id.try_emplace(trials.id(at), number);
        configuration = known->second;
        if (is_new) add_configuration(at);
      }
      ++plan_.configurations[configuration].replicates;
    }
  }

  void add_configuration(std::size_t first) {
    PlannedConfiguration& configuration = plan_.configurations.emplace_back();
    configuration.first = static_cast<TrialTable::Index>(first);
    const TrialSpec spec = plan_.sweep.trials[first];
    configuration.cost = estimator_(spec);
    // Every result has the text of the sweep file.
    configuration.cost.result_bytes += static_cast<double>(plan_.sweep.text.size());
    configuration.plan_line = static_cast<std::uint32_t>(planned(spec).canonical.size());
    std::vector<Phase> phases = std::exchange(configuration.cost.phases, {});
    std::string words;
    for (const Phase& phase : phases) words += fmt::format("{} {} {}\n", phase.name, phase.first_step, phase.last_step);
    const auto [known, is_new] = phases_.try_emplace(words, static_cast<std::uint32_t>(plan_.phases.size()));
    configuration.phases = known->second;
    if (is_new) plan_.phases.push_back(std::move(phases));
  }

  // What keeps a result from counting is a note.
  void find_results() {
    const TrialTable& trials = plan_.sweep.trials;
    PosixFiles files;
    plan_.results = known_results(files, plan_.arguments.out, trials, [this](std::size_t at) {
      const TrialEstimate& cost = plan_.of(at).cost;
      return Expected{cost.seconds, cost.result_bytes};
    });
    for (std::size_t at = 0; at < trials.size(); ++at) {
      if (plan_.is_done(at)) ++plan_.configurations[plan_.configuration[trials.setup(at)]].done;
    }
    for (const std::string& problem : plan_.results.problems) {
      plan_.sweep.notes.push_back(fmt::format("{}: not counted as done", problem));
    }
  }

  void correct_estimates() {
    if (plan_.results.times.size() == 0) return;
    const auto of_time = plan_.results.times.factors(plan_.sweep.trials);
    const auto of_size = plan_.results.sizes.factors(plan_.sweep.trials);
    for (PlannedConfiguration& one : plan_.configurations) {
      one.cost.seconds *= of_time(one.first);
      one.cost.result_bytes *= of_size(one.first);
    }
  }

  void note_bounds() {
    std::set<std::string> noted;
    for (const PlannedConfiguration& one : plan_.configurations) {
      const TrialEstimate& cost = one.cost;
      if (!cost.kept_at_most && !cost.equal_shares) continue;
      const std::string& method = plan_.sweep.trials.text(one.first, "method.name");
      if (!noted.insert(method).second) continue;
      plan_.sweep.notes.push_back(
          cost.kept_at_most
              ? fmt::format("{}: how many weights are zero in the end is not known before: kept, sparse MACs and "
                            "floating-point operations are at most what is said here",
                            method)
              : fmt::format("{}: how much of each layer is removed shows only in training: kept, sparse MACs and "
                            "floating-point operations are said for equal shares",
                            method));
    }
  }

  // Only a note: the machine that plans may lack the data of the machine that trains.
  void note_missing_data() {
    const TrialTable& trials = plan_.sweep.trials;
    const auto to_train = [&](std::size_t at) { return !plan_.is_done(at); };
    for (const std::string& problem : missing_data(trials.distinct_below("data", to_train))) {
      plan_.sweep.notes.push_back(fmt::format("winnow run would stop on this machine: {}", problem));
    }
  }

  // Only a note again: plans are made on login nodes.
  void note_missing_gpu() {
    const TrialTable& trials = plan_.sweep.trials;
    std::size_t at = 0;
    for (; at < trials.size(); ++at) {
      const std::string* device = trials.find(at, kDeviceKey);
      if (device != nullptr && *device == "cuda" && !plan_.is_done(at)) break;
    }
    if (at == trials.size()) return;
    const RunDevices here = devices_of_machine();
    if (here.gpus > 0) return;
    plan_.sweep.notes.push_back(
        fmt::format("winnow run would stop on this machine: {} is cuda, but {}", kDeviceKey, here.problem));
  }

  SweepPlan plan_;
  Estimator estimator_{machine_speed()};
  std::map<std::string, std::uint32_t> phases_;
};

}  // namespace

SweepPlan::Totals SweepPlan::totals() const {
  Totals totals;
  for (const PlannedConfiguration& one : configurations) {
    const auto left = static_cast<double>(one.replicates - one.done);
    totals.done += one.done;
    totals.seconds += left * one.cost.seconds * sweep.trials.ranks(one.first);
    totals.flops += left * one.cost.flops;
    if (left > 0) totals.memory = std::max(totals.memory, static_cast<double>(one.cost.memory_bytes));
  }
  return totals;
}

double SweepPlan::seconds_left(std::size_t trial) const {
  if (!results.is_open(trial)) return 0;
  const PlannedConfiguration& one = of(trial);
  return one.cost.seconds * sweep.trials.ranks(one.first);
}

SweepPlan make_plan(SweepArguments arguments) { return Planner(std::move(arguments)).plan(); }

}  // namespace winnow
