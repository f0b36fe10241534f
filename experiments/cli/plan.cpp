// `winnow plan`: what a sweep file stands for, what of it is done, and what the rest will cost.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>
#include <set>
#include <unordered_map>

#include "experiments/cli/options.h"
#include "experiments/cli/verbs.h"
#include "experiments/data/missing_data.h"
#include "experiments/results/layout.h"
#include "experiments/results/status.h"
#include "experiments/results/trial_file.h"
#include "experiments/run/estimate.h"
#include "experiments/run/need_order.h"
#include "experiments/run/planned_events.h"
#include "experiments/sweep/need_links.h"
#include "experiments/text.h"

namespace winnow {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kListed = 60, kNotes = 20;

struct PlannedConfiguration {
  const TrialSpec* spec = nullptr;  // its first replicate
  std::size_t replicates = 0, done = 0;
  TrialEstimate cost;
};

struct Plan {
  Sweep sweep;
  SweepArguments arguments;
  std::vector<PlannedConfiguration> configurations;
  MeasuredTimes measured;  // from the results that are there
  std::set<std::string, std::less<>> done;
  std::string run_arguments;      // of the `winnow run` that trains this plan
  std::set<std::string> varying;  // keys that differ between trials, beyond the columns of the table
};

std::set<std::string> varying_keys(const std::vector<PlannedConfiguration>& configurations) {
  static const std::set<std::string> kColumns = {"data.name", "model.name", "method.name", "method.density",
                                                 "method.version"};
  std::map<std::string, std::pair<std::string, std::size_t>> seen;  // first value, times seen equal
  std::set<std::string> varying;
  for (const PlannedConfiguration& configuration : configurations) {
    for (const auto& [key, value] : configuration.spec->identity.values()) {
      auto& [first, count] = seen.try_emplace(key, value, 0).first->second;
      if (first == value) ++count;
    }
  }
  for (const auto& [key, first] : seen) {
    if (first.second != configurations.size() && !kColumns.contains(key)) varying.insert(key);
  }
  return varying;
}

// Nothing if the trial has no result; what cannot be read is no result, and a note says so.
std::optional<TrialNote> result_of(Files& files, const TrialSpec& spec, Plan& plan) {
  const auto path = Layout(plan.arguments.out).trial(spec.name());
  if (!files.exists(path)) return std::nullopt;
  try {
    TrialNote note = read_note(files, path);
    check_owner(path, note.name);
    return note;
  } catch (const Error& error) {
    if (!is_unreadable(error)) throw;
    plan.sweep.notes.push_back(fmt::format("{}: not counted as done", error.what()));
    return std::nullopt;
  }
}

// Only a note: the machine that plans may lack the data of the machine that trains.
void note_missing_data(Plan& plan) {
  std::vector<const TrialSpec*> to_train;
  for (const TrialSpec& spec : plan.sweep.trials) {
    if (!plan.done.contains(spec.name())) to_train.push_back(&spec);
  }
  for (const std::string& problem : missing_data(to_train))
    plan.sweep.notes.push_back(fmt::format("winnow run would stop on this machine: {}", problem));
}

void note_bounds(Plan& plan) {
  std::set<std::string> noted;
  for (const PlannedConfiguration& configuration : plan.configurations) {
    const TrialEstimate& cost = configuration.cost;
    const std::string& method = configuration.spec->settings.text("method.name");
    if ((!cost.kept_at_most && !cost.equal_shares) || !noted.insert(method).second) continue;
    plan.sweep.notes.push_back(
        cost.kept_at_most
            ? fmt::format("{}: how many weights are zero in the end is not known before: kept, sparse MACs and "
                          "floating-point operations are at most what is said here",
                          method)
            : fmt::format("{}: how much of each layer is removed shows only in training: kept, sparse MACs and "
                          "floating-point operations are said for equal shares",
                          method));
  }
}

Plan make_plan(SweepArguments arguments) {
  Plan plan;
  plan.sweep = load_sweep(arguments.sweep, catalog(), arguments.expand);
  plan.arguments = std::move(arguments);
  PosixFiles files;
  std::unordered_map<std::string_view, std::size_t> index;
  for (const TrialSpec& spec : plan.sweep.trials) {
    const auto [found, is_new] = index.try_emplace(spec.id, plan.configurations.size());
    if (is_new) plan.configurations.push_back({&spec, 0, 0, estimate(spec)});
    PlannedConfiguration& configuration = plan.configurations[found->second];
    ++configuration.replicates;
    const auto result = result_of(files, spec, plan);
    if (!result) continue;
    ++configuration.done;
    plan.done.insert(spec.name());
    // Finished trials correct the estimates of the others; a diverged one ended early.
    if (result->outcome == Outcome::Done) plan.measured.add(spec, configuration.cost.seconds, result->seconds);
  }
  for (PlannedConfiguration& configuration : plan.configurations)
    configuration.cost.seconds *= plan.measured.factor(*configuration.spec);
  note_bounds(plan);
  note_missing_data(plan);
  plan.varying = varying_keys(plan.configurations);
  return plan;
}

struct Totals {
  std::size_t done = 0;
  double seconds = 0, flops = 0, memory = 0;  // of what is still to train
};

Totals totals_of(const Plan& plan) {
  Totals totals;
  for (const PlannedConfiguration& c : plan.configurations) {
    const auto left = static_cast<double>(c.replicates - c.done);
    totals.done += c.done;
    totals.seconds += left * c.cost.seconds * c.spec->ranks;
    totals.flops += left * c.cost.flops;
    if (left > 0) totals.memory = std::max(totals.memory, static_cast<double>(c.cost.memory_bytes));
  }
  return totals;
}

std::string other_settings(const Plan& plan, const TrialSpec& spec) {
  std::string text;
  for (const std::string& key : plan.varying) {
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

void print_head(std::ostream& out, const Plan& plan) {
  const Sweep& sweep = plan.sweep;
  out << fmt::format("{}  {} = {}", sweep.name, counted(sweep.trials.size(), "trial"),
                     counted(sweep.configurations, "configuration"));
  const bool even = sweep.configurations * sweep.replicates == sweep.trials.size();
  out << fmt::format(" x {}{}\n", even ? "" : "up to ", counted(sweep.replicates, "replicate"));
  std::vector<std::pair<std::string, std::size_t>> methods;
  for (const TrialSpec& spec : sweep.trials) {
    const std::string& name = spec.settings.text("method.name");
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

void print_table(std::ostream& out, const Plan& plan, bool all) {
  std::vector<std::vector<std::string>> rows = {{"trial", "done", "data", "model", "method", "density", "params",
                                                 "kept", "dense MACs", "sparse MACs", "time", "memory",
                                                 "other settings"}};
  for (const PlannedConfiguration& c : plan.configurations) {
    if (!all && rows.size() > kListed) break;
    const Settings& s = c.spec->settings;
    rows.push_back({c.spec->id.substr(0, 10), fmt::format("{}/{}", c.done, c.replicates), s.text("data.name"),
                    s.text("model.name"), s.text("method.name"),
                    s.has("method.density") ? s.text("method.density") : "-",
                    count_text(static_cast<double>(c.cost.params)), at_most(c.cost, c.cost.kept),
                    count_text(static_cast<double>(c.cost.macs_dense)), at_most(c.cost, c.cost.macs_sparse),
                    duration_text(c.cost.seconds), bytes_text(static_cast<double>(c.cost.memory_bytes)),
                    other_settings(plan, *c.spec)});
  }
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const bool number = i == 1 || (i >= 5 && i <= 11);
      line += number ? fmt::format("  {:>{}}", row[i], widths[i]) : fmt::format("  {:<{}}", row[i], widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out << line << "\n";
  }
  if (rows.size() - 1 < plan.configurations.size()) {
    out << fmt::format("  and {} more (--all lists them)\n", plan.configurations.size() - rows.size() + 1);
  }
}

// One line for configurations that go the same way; those that only train need none.
void print_phases(std::ostream& out, const Plan& plan) {
  std::map<std::pair<std::string, std::string>, std::size_t> kinds;
  for (const PlannedConfiguration& one : plan.configurations) {
    if (one.cost.phases.size() < 2) continue;
    ++kinds[{one.spec->settings.text("method.name"), text_of(one.cost.phases)}];
  }
  if (!kinds.empty()) out << "\nphases\n";
  for (const auto& [kind, count] : kinds) {
    out << fmt::format("  {:<18} {}  ({})\n", kind.first, kind.second, counted(count, "configuration"));
  }
}

// Which configurations are trained after which others; nothing where none needs another.
void print_order(std::ostream& out, const Plan& plan, bool all) {
  std::unordered_map<std::string, const TrialSpec*> by_name;
  for (const TrialSpec& spec : plan.sweep.trials) by_name[spec.name()] = &spec;
  const auto called = [](const TrialSpec& spec) {
    return fmt::format("{} {}", name_in_sweep(spec.settings), spec.id.substr(0, 10));
  };
  const NeedOrder order = need_order(plan.sweep.trials, std::vector<double>(plan.sweep.trials.size(), 0.0));
  if (order.deepest == 0) return;
  std::vector<std::vector<const TrialSpec*>> levels(static_cast<std::size_t>(order.deepest) + 1);
  for (const PlannedConfiguration& one : plan.configurations) {
    const auto at = static_cast<std::size_t>(one.spec - plan.sweep.trials.data());
    levels[static_cast<std::size_t>(order.depth[at])].push_back(one.spec);
  }
  out << "\norder (a trial is trained when what it needs is done)\n";
  out << fmt::format("  1  {} without needs\n", counted(levels[0].size(), "configuration"));
  std::size_t shown = 0, hidden = 0;
  for (std::size_t depth = 1; depth < levels.size(); ++depth) {
    for (const TrialSpec* spec : levels[depth]) {
      if (!all && shown == kListed) {
        ++hidden;
        continue;
      }
      ++shown;
      std::vector<std::string> needs;
      for (const TrialNeed& need : spec->needs) {
        needs.push_back(fmt::format("{} ({})", called(*by_name.at(need.trial)), need.role));
      }
      out << fmt::format("  {}  {}  after {}\n", depth + 1, called(*spec), fmt::join(needs, ", "));
    }
  }
  if (hidden > 0) out << fmt::format("  and {} more (--all lists them)\n", hidden);
}

void print(std::ostream& out, const Plan& plan, bool all) {
  print_head(out, plan);
  const Totals totals = totals_of(plan);
  const std::size_t left = plan.sweep.trials.size() - totals.done;
  out << fmt::format("already done {} in {}; to train {}\n\n", totals.done, plan.arguments.out.string(), left);
  print_table(out, plan, all);
  print_phases(out, plan);
  print_order(out, plan, all);
  const std::string source = plan.measured.size() == 0 ? "a rule of thumb until trials are done"
                                                       : "from " + counted(plan.measured.size(), "finished trial");
  out << fmt::format("\ntotal  {} on one rank ({}), {} floating-point operations, at most {} a rank\n",
                     duration_text(totals.seconds), source, count_text(totals.flops), bytes_text(totals.memory));
  out << fmt::format("next   winnow run {}\n", plan.run_arguments);
}

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

// Trial by trial: the whole of a large sweep as one object would take more memory than the sweep.
void print_json(std::ostream& out, const Plan& plan) {
  const Totals totals = totals_of(plan);
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
  const auto dump = [](const Json& one) { return one.dump(2, ' ', false, Json::error_handler_t::replace); };
  std::string head = dump(json);
  head.resize(head.rfind('\n'));  // without the closing brace
  out << head << ",\n  \"trials\": [";
  std::unordered_map<std::string_view, const PlannedConfiguration*> by_id;
  for (const PlannedConfiguration& c : plan.configurations) by_id[c.spec->id] = &c;
  bool first = true;
  for (const TrialSpec& spec : plan.sweep.trials) {
    const TrialEstimate& cost = by_id.at(spec.id)->cost;
    out << (std::exchange(first, false) ? "\n" : ",\n");
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
                 {"phases", json_of(cost.phases)},
                 {"needs", json_of(spec.needs)},
                 {"settings", spec.settings.values()}});
  }
  out << "\n  ]\n}\n";
}

// One line for configurations that do the same at the same steps.
void print_events(std::ostream& out, const Plan& plan) {
  std::map<std::pair<std::string, std::string>, std::size_t> kinds;
  for (const PlannedConfiguration& one : plan.configurations) {
    ++kinds[{one.spec->settings.text("method.name"), text_of(planned_events(*one.spec))}];
  }
  out << "\nsteps at which methods act, by updates applied\n";
  for (const auto& [kind, count] : kinds) {
    out << fmt::format("  {:<18} {}  ({} configuration{})\n", kind.first, kind.second, count, count == 1 ? "" : "s");
  }
}

}  // namespace

void add_plan_options(VerbOptions& options) {
  add_sweep_options(options);
  options.add_options()("all", "list every configuration")("events", "the steps at which methods act")(
      "json", "one JSON object");
}

int run_plan(std::span<const std::string> args, std::ostream& out, std::ostream&) {
  const auto given = parse_arguments("plan", args, out);
  if (!given) return 0;
  Plan plan = make_plan(sweep_arguments(*given));
  for (const std::string& arg : args) {
    if (arg == "--all" || arg == "--events" || arg == "--json") continue;
    plan.run_arguments += (plan.run_arguments.empty() ? "" : " ") + arg;
  }
  if (given->contains("json")) {
    print_json(out, plan);
  } else {
    print(out, plan, given->contains("all"));
    if (given->contains("events")) print_events(out, plan);
  }
  return 0;
}

}  // namespace winnow
