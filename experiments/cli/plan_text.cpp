// `winnow plan` for people: what the sweep stands for, its table, and the order in which it is trained.
#include <algorithm>
#include <map>
#include <ostream>

#include "experiments/cli/sweep_plan.h"
#include "experiments/need_role.h"
#include "experiments/report/text_table.h"
#include "experiments/run/need_order.h"
#include "experiments/run/planned_events.h"
#include "experiments/sweep/need_links.h"
#include "experiments/text.h"

namespace winnow {
namespace {

constexpr std::size_t kListedRows = 60, kNotes = 20;

// `varying`: keys that differ between trials.
std::string other_settings(const std::set<std::string>& varying, const TrialSpec& spec) {
  static const std::set<std::string> kColumns = {"data.name", "model.name", "method.name", "method.density",
                                                 "method.version"};
  std::string text;
  for (const std::string& key : varying) {
    if (kColumns.contains(key)) continue;
    const std::string* value = spec.identity.find(key);
    if (value == nullptr) continue;
    // The identity has the id of another trial where the sweep has its name.
    const bool names_trial = std::ranges::any_of(spec.needs, [&, &k = key](const TrialNeed& n) { return n.key == k; });
    if (names_trial) value = spec.settings.find(key);
    // The leaf is enough for people; --json has the whole key.
    const std::string leaf = key.starts_with("method.with.") ? key.substr(7) : key.substr(key.rfind('.') + 1);
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", leaf, *value);
  }
  return text;
}

void print_head(std::ostream& out, const SweepPlan& plan) {
  const Sweep& sweep = plan.sweep;
  out << fmt::format("{}  {} = {}", sweep.name, counted(sweep.trials.size(), "trial"),
                     counted(sweep.configurations, "configuration"));
  const bool even = sweep.configurations * sweep.replicates == sweep.trials.size();
  out << fmt::format(" x {}{}\n", even ? "" : "up to ", counted(sweep.replicates, "replicate"));
  std::vector<std::pair<std::string, std::size_t>> methods;
  for (std::size_t at = 0; at < sweep.trials.size(); ++at) {
    const std::string& name = sweep.trials.text(at, "method.name");
    const auto found = std::ranges::find(methods, name, &std::pair<std::string, std::size_t>::first);
    found == methods.end() ? (void)methods.emplace_back(name, 1) : (void)++found->second;
  }
  for (const auto& [name, count] : methods) out << fmt::format("  {} {}", name, count);
  out << "\n";
  for (const LeftOut& left : sweep.left_out) {
    if (left.count == 0) continue;
    out << fmt::format("  left out {} by {}{}\n", left.count, left.rule,
                       left.where.empty() ? "" : fmt::format(" ({})", left.where));
  }
  if (sweep.duplicates != 0) {
    out << fmt::format("  {} of another trial (same settings)\n", counted(sweep.duplicates, "duplicate"));
  }
  const std::size_t shown = std::min(sweep.notes.size(), kNotes);
  for (std::size_t i = 0; i < shown; ++i) out << "  note " << sweep.notes[i] << "\n";
  if (shown < sweep.notes.size()) {
    out << fmt::format("  and {} more notes (--json has them)\n", sweep.notes.size() - shown);
  }
}

// A count that training may still lower, or decide.
std::string at_most(const TrialEstimate& cost, std::int64_t count) {
  return (cost.kept_at_most ? "<=" : cost.equal_shares ? "~" : "") + count_text(static_cast<double>(count));
}

void print_table(std::ostream& out, const SweepPlan& plan, bool all) {
  const std::size_t count = all ? plan.configurations.size() : std::min(plan.configurations.size(), kListedRows);
  const std::set<std::string> varying = plan.sweep.trials.varying();
  TextTable table;
  const auto add = [&](const char* title, bool number, auto&& cell) {
    TextColumn& column = table.columns.emplace_back(TextColumn{.title = title, .number = number, .cells = {}});
    for (std::size_t i = 0; i < count; ++i) column.cells.push_back(cell(plan.configurations[i]));
  };
  const auto add_setting = [&](const char* title, const char* key, bool number) {
    add(title, number, [&plan, key](const PlannedConfiguration& c) {
      const std::string* text = plan.sweep.trials.find(c.first, key);
      return text == nullptr ? std::string("-") : *text;
    });
  };
  add("trial", false, [&](const PlannedConfiguration& c) { return plan.sweep.trials.id(c.first).substr(0, 10); });
  add("done", true, [](const PlannedConfiguration& c) { return fmt::format("{}/{}", c.done, c.replicates); });
  add_setting("data", "data.name", false);
  add_setting("model", "model.name", false);
  add_setting("method", "method.name", false);
  add_setting("density", "method.density", true);
  add("params", true, [](const PlannedConfiguration& c) { return count_text(static_cast<double>(c.cost.params)); });
  add("kept", true, [](const PlannedConfiguration& c) { return at_most(c.cost, c.cost.kept); });
  add("dense MACs", true,
      [](const PlannedConfiguration& c) { return count_text(static_cast<double>(c.cost.macs_dense)); });
  add("sparse MACs", true, [](const PlannedConfiguration& c) { return at_most(c.cost, c.cost.macs_sparse); });
  add("time", true, [](const PlannedConfiguration& c) { return duration_text(c.cost.seconds); });
  add("memory", true,
      [](const PlannedConfiguration& c) { return bytes_text(static_cast<double>(c.cost.memory_bytes)); });
  add("other settings", false,
      [&](const PlannedConfiguration& c) { return other_settings(varying, plan.sweep.trials[c.first]); });
  table.text(out, false, 2);
  if (count < plan.configurations.size()) {
    out << fmt::format("  and {} more (--all lists them)\n", plan.configurations.size() - count);
  }
}

// One line for configurations that go the same way; those that only train need none.
void print_phases(std::ostream& out, const SweepPlan& plan) {
  std::map<std::pair<std::string, std::string>, std::size_t> kinds;
  for (const PlannedConfiguration& one : plan.configurations) {
    const std::vector<Phase>& phases = plan.phases[one.phases];
    if (phases.size() < 2) continue;
    ++kinds[{plan.sweep.trials.text(one.first, "method.name"), text_of(phases)}];
  }
  if (!kinds.empty()) out << "\nphases\n";
  for (const auto& [kind, count] : kinds) {
    out << fmt::format("  {:<18} {}  ({})\n", kind.first, kind.second, counted(count, "configuration"));
  }
}

// Which configurations are trained after which others; nothing where none needs another.
void print_order(std::ostream& out, const SweepPlan& plan, bool all) {
  const TrialTable& trials = plan.sweep.trials;
  const NeedOrder order = need_order(trials, std::vector<double>(trials.size(), 0.0));
  if (order.deepest == 0) return;
  const auto by_name = trials.positions();
  const auto called = [&](std::size_t at) {
    return fmt::format("{} {}", name_in_sweep(trials, at), trials.id(at).substr(0, 10));
  };
  std::vector<std::vector<std::size_t>> levels(static_cast<std::size_t>(order.deepest) + 1);
  for (const PlannedConfiguration& one : plan.configurations) {
    levels[static_cast<std::size_t>(order.depth[one.first])].push_back(one.first);
  }
  out << "\norder (a trial is trained when what it needs is done)\n";
  out << fmt::format("  1  {} without needs\n", counted(levels[0].size(), "configuration"));
  std::size_t shown = 0, hidden = 0;
  for (std::size_t depth = 1; depth < levels.size(); ++depth) {
    for (const std::size_t at : levels[depth]) {
      if (!all && shown == kListedRows) {
        ++hidden;
        continue;
      }
      ++shown;
      std::vector<std::string> needs;
      for (const TrialNeed& need : trials.needs(at)) {
        needs.push_back(fmt::format("{} ({})", called(by_name.at(need.trial)), word_of_role(need.role)));
      }
      out << fmt::format("  {}  {}  after {}\n", depth + 1, called(at), fmt::join(needs, ", "));
    }
  }
  if (hidden > 0) out << fmt::format("  and {} more (--all lists them)\n", hidden);
}

// One line for configurations that do the same at the same steps.
void print_events(std::ostream& out, const SweepPlan& plan) {
  std::map<std::pair<std::string, std::string>, std::size_t> kinds;
  for (const PlannedConfiguration& one : plan.configurations) {
    const TrialSpec spec = plan.sweep.trials[one.first];
    ++kinds[{spec.settings.text("method.name"), text_of(planned_events(spec))}];
  }
  out << "\nsteps at which methods act, by updates applied\n";
  for (const auto& [kind, count] : kinds) {
    out << fmt::format("  {:<18} {}  ({} configuration{})\n", kind.first, kind.second, count, count == 1 ? "" : "s");
  }
}

}  // namespace

void print_text(std::ostream& out, const SweepPlan& plan, bool all, bool events) {
  print_head(out, plan);
  const SweepPlan::Totals totals = plan.totals();
  const std::size_t left = plan.sweep.trials.size() - totals.done;
  out << fmt::format("already done {} in {}; to train {}\n\n", totals.done, plan.arguments.out.string(), left);
  print_table(out, plan, all);
  print_phases(out, plan);
  print_order(out, plan, all);
  const std::string source = plan.results.times.size() == 0
                                 ? "by the speed of a core here, until trials are done"
                                 : "from " + counted(plan.results.times.size(), "finished trial");
  out << fmt::format("\ntotal  {} on one rank ({}), {} floating-point operations, at most {} a rank\n",
                     duration_text(totals.seconds), source, count_text(totals.flops), bytes_text(totals.memory));
  out << space_text(plan) << stop_text(plan);
  if (plan.shards) print_shards(out, plan, all);
  out << fmt::format("next   winnow run {}{}\n", plan.run_arguments,
                     plan.shards ? fmt::format(" --shard I/{}", plan.shards->count) : "");
  if (events) print_events(out, plan);
}

}  // namespace winnow
