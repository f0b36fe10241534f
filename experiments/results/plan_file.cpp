#include "experiments/results/plan_file.h"

#include <algorithm>
#include <functional>
#include <set>
#include <sstream>
#include <unordered_set>
#include <utility>

#include "core/error.h"
#include "experiments/data/digest.h"
#include "experiments/results/checkpoint_file.h"
#include "experiments/results/failure_file.h"
#include "experiments/results/layout.h"
#include "experiments/results/shard_plan.h"
#include "experiments/results/trial_file.h"
#include "experiments/sweep/identity.h"

namespace winnow {
namespace {

constexpr const char* kPlanHeader = "# winnow-plan 1.0\tname\tsettings";
constexpr std::string_view kWritten = "# written ";

constexpr const char* kDamagedPlan = "; a damaged plan may be removed: the next run of its sweep writes it again";

// Goes through a plan of perhaps a million lines without a copy of it: `each` gets the name and the settings of every trial.
// When it was written.
template <class Each>
std::string scan(Files& files, const std::filesystem::path& path, Each&& each) {
  const std::vector<std::byte> bytes = read_at_most(files, path, kMostTable);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::string written;
  std::size_t at = 0;
  for (int number = 1; at < text.size(); ++number) {
    const std::string_view line = text.substr(at, text.find('\n', at) - at);
    at += line.size() + 1;
    if (number == 1) {
      if (line != kPlanHeader)
        fail(ErrorKind::Input, "{}:1: is not a winnow plan of version 1{}", path.string(), kDamagedPlan);
      continue;
    }
    if (line.starts_with('#')) {
      if (line.starts_with(kWritten)) written = line.substr(kWritten.size());
      continue;
    }
    const auto tab = line.find('\t');
    if (tab == std::string_view::npos || !is_trial_name(line.substr(0, tab))) {
      fail(ErrorKind::Input, "{}:{}: expected <id>-r<replicate>, a tab and settings{}", path.string(), number,
           kDamagedPlan);
    }
    each(line.substr(0, tab), line.substr(tab + 1));
  }
  return written;
}

WrittenPlan read_one(Files& files, const std::filesystem::path& path) {
  WrittenPlan plan{path, "", {}};
  plan.written = scan(files, path, [&](std::string_view name, std::string_view settings) {
    plan.trials.push_back({std::string(name), std::string(settings)});
  });
  return plan;
}

// The files of plans/, the last that was run first.
std::vector<std::filesystem::path> newest_first(Files& files, const Layout& layout) {
  std::vector<std::pair<std::string, std::filesystem::path>> plans;  // when it was written
  for (const auto& name : files.list(layout.plans())) {
    if (!name.ends_with(".tsv")) continue;
    const auto path = layout.plans() / name;
    plans.emplace_back(scan(files, path, [](std::string_view, std::string_view) {}), path);
  }
  std::ranges::stable_sort(plans, std::greater{}, &std::pair<std::string, std::filesystem::path>::first);
  std::vector<std::filesystem::path> paths;
  for (auto& [written, path] : plans) paths.push_back(std::move(path));
  return paths;
}

std::uint64_t size_of_file(Files& files, const std::filesystem::path& path) {
  const auto stamp = files.stamp(path);
  return stamp ? stamp->size : 0;
}

// What plan.tsv should be: every trial of every plan once, and what is in plan.tsv alone unless it is `forgotten`.
std::string union_text(Files& files, const Layout& layout, const std::set<std::string, std::less<>>& forgotten) {
  std::string text = std::string(kPlanHeader) + "\n";
  // Of the size that it can have: a text that grows is there twice.
  std::uint64_t most = text.size();
  const std::vector<std::filesystem::path> plans = newest_first(files, layout);
  const auto size_of = [&](const auto& path) { return std::min<std::uint64_t>(size_of_file(files, path), kMostTable); };
  for (const auto& path : plans) most += size_of(path);
  text.reserve(most + size_of(layout.plan()));
  std::unordered_set<std::string> known;
  const auto add = [&](std::string_view name, std::string_view settings) {
    if (!known.emplace(name).second) return;
    text.append(name).append("\t").append(settings).append("\n");
  };
  for (const auto& path : plans) scan(files, path, add);
  if (!files.exists(layout.plan())) return text;
  scan(files, layout.plan(), [&](std::string_view name, std::string_view settings) {
    if (!forgotten.contains(name)) add(name, settings);
  });
  return text;
}

// Gives plan.tsv what all plans have. Another process may write it at the same time, without the plan of this one, or a
// plan beside it: whoever writes last has seen all of them.
void write_union(Files& files, const Layout& layout, const std::set<std::string, std::less<>>& forgotten = {}) {
  for (;;) {
    const std::string text = union_text(files, layout, forgotten);
    if (files.exists(layout.plan()) &&
        std::ranges::equal(files.read(layout.plan()), std::as_bytes(std::span(text.data(), text.size())))) {
      return;
    }
    files.replace(layout.plan(), text);
  }
}

// One plan of a sweep, as a text and the names in it.
class PlanText {
 public:
  explicit PlanText(std::size_t trials)
      : text_(fmt::format("{}\n{}{}\n", kPlanHeader, kWritten, now_utc())), trials_(trials) {}
  void add(std::string name, std::string_view settings) {
    // Lines are about as long as the first: a text that grows is there twice.
    if (names_.empty()) text_.reserve(text_.size() + trials_ * (name.size() + settings.size() + 16));
    text_.append(name).append("\t").append(settings).append("\n");
    names_.push_back(std::move(name));
  }
  void write(Files& files, const Layout& layout) && {
    files.replace(layout.plans() / (plan_digest(std::move(names_)) + ".tsv"), std::exchange(text_, {}));
    write_union(files, layout);
  }

 private:
  std::string text_;
  std::vector<std::string> names_;
  std::size_t trials_;
};

std::string one_line(std::string canonical) {
  std::ranges::replace_if(
      canonical, [](char c) { return c == '\n' || c == '\t' || c == '\r'; }, ' ');
  while (!canonical.empty() && canonical.back() == ' ') canonical.pop_back();
  return canonical;
}

}  // namespace

bool is_trial_name(std::string_view name) {
  const auto dash = name.rfind("-r");
  if (dash == std::string::npos || dash < 2 || dash + 2 == name.size()) return false;
  return name.find_first_not_of("0123456789abcdef") == dash &&
         name.find_first_not_of("0123456789", dash + 2) == std::string::npos;
}

PlannedTrial planned(const TrialSpec& spec) { return {spec.name(), one_line(spec.canonical())}; }

Settings settings_of_plan(const std::string& canonical) {
  Settings settings;
  std::istringstream words(canonical);
  std::string last;
  for (std::string word; words >> word;) {
    const std::size_t equals = word.find('=');
    // The items of a list are words of their own: "method.layer_density=[fc1=0.1, fc2=0.2]".
    if (!last.empty() && !settings.text(last).ends_with(']') && settings.text(last).starts_with('[')) {
      settings.set(last, settings.text(last) + " " + word);
    } else if (equals != std::string::npos) {
      last = word.substr(0, equals);
      settings.set(last, word.substr(equals + 1));
    }
  }
  return settings;
}

void write_plan(Files& files, const std::filesystem::path& out, std::span<const PlannedTrial> trials) {
  PlanText plan(trials.size());
  for (const PlannedTrial& trial : trials) plan.add(trial.name, trial.canonical);
  std::move(plan).write(files, Layout(out));
}

void write_plan(Files& files, const std::filesystem::path& out, const TrialTable& trials) {
  PlanText plan(trials.size());
  std::string settings;
  for (std::size_t at = 0; at < trials.size(); ++at) {
    // Replicates mostly follow each other.
    const bool as_before = at > 0 && trials.setup(at) == trials.setup(at - 1) && !trials.has_needs(at);
    if (!as_before) settings = one_line(trials[at].canonical());
    plan.add(trials.name(at), settings);
  }
  std::move(plan).write(files, Layout(out));
}

std::string plan_digest(std::vector<std::string> names) {
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  Sha256 sum;
  for (const auto& name : names) sum.update(name);
  return sum.hex().substr(0, 20);
}

std::string plan_digest(const TrialTable& trials) {
  std::vector<std::string> names;
  names.reserve(trials.size());
  for (std::size_t at = 0; at < trials.size(); ++at) names.push_back(trials.name(at));
  return plan_digest(std::move(names));
}

std::optional<std::string> plan_fault(const WrittenPlan& plan) {
  std::vector<std::string> names;
  names.reserve(plan.trials.size());
  std::string last, id;
  for (const PlannedTrial& trial : plan.trials) {
    if (id.empty() || trial.canonical != last) {  // replicates mostly follow each other
      last = trial.canonical;
      id = trial_id(canonical_of(settings_of_plan(last)));
    }
    if (trial.name.substr(0, trial.name.rfind("-r")) != id) {
      return fmt::format("the settings of {} are not those of its id", trial.name);
    }
    names.push_back(trial.name);
  }
  if (plan_digest(std::move(names)) == plan.path.stem().string()) return std::nullopt;
  return "its trials are not those that it is named by";
}

std::string archive_name(std::string_view text) {
  Sha256 sum;
  sum.update(text);
  return sum.hex().substr(0, 20) + ".yaml";
}

void archive_sweep(Files& files, const std::filesystem::path& out, const std::string& text) {
  files.write_once(Layout(out).sweeps() / archive_name(text), std::as_bytes(std::span(text.data(), text.size())));
}

std::vector<WrittenPlan> read_plans(Files& files, const std::filesystem::path& out) {
  const Layout layout(out);
  std::vector<WrittenPlan> plans;
  for (const auto& name : files.list(layout.plans())) {
    if (name.ends_with(".tsv")) plans.push_back(read_one(files, layout.plans() / name));
  }
  std::ranges::stable_sort(plans, std::greater{}, &WrittenPlan::written);
  if (!files.exists(layout.plan())) return plans;
  std::set<std::string> known;
  for (const WrittenPlan& plan : plans) {
    for (const auto& trial : plan.trials) known.insert(trial.name);
  }
  WrittenPlan rest = read_one(files, layout.plan());
  std::erase_if(rest.trials, [&](const PlannedTrial& trial) { return known.contains(trial.name); });
  plans.push_back(std::move(rest));
  return plans;
}

std::optional<WrittenPlan> read_plan_of(Files& files, const std::filesystem::path& out, const std::string& digest) {
  const auto path = Layout(out).plans() / (digest + ".tsv");
  if (!files.exists(path)) return std::nullopt;
  return read_one(files, path);
}

std::vector<PlannedTrial> read_plan(Files& files, const std::filesystem::path& out) {
  std::vector<PlannedTrial> all;
  std::set<std::string> known;
  for (WrittenPlan& plan : read_plans(files, out)) {
    for (auto& trial : plan.trials) {
      if (known.insert(trial.name).second) all.push_back(std::move(trial));
    }
  }
  return all;
}

PlansByTime plans_by_time(std::vector<WrittenPlan> plans, const std::set<std::string>& in_work) {
  PlansByTime parts;
  const std::string newest = plans.empty() ? "" : plans.front().written;
  for (WrittenPlan& plan : plans) {
    if (plan.trials.empty()) continue;  // plan.tsv, where it has nothing that the others have not
    // Two that were run within one second are both the newest.
    const bool is_current = plan.written == newest || std::ranges::any_of(plan.trials, [&](const PlannedTrial& trial) {
                              return in_work.contains(trial.name);
                            });
    (is_current ? parts.current : parts.earlier).push_back(std::move(plan));
  }
  return parts;
}

void forget_plans(Files& files, const std::filesystem::path& out, std::span<const WrittenPlan> plans) {
  const Layout layout(out);
  const auto is_forgotten = [&](const WrittenPlan& plan) {
    return std::ranges::any_of(
        plans, [&](const WrittenPlan& each) { return each.path == plan.path && each.written == plan.written; });
  };
  std::set<std::string, std::less<>> forgotten;
  for (const WrittenPlan& plan : plans) {
    for (const PlannedTrial& trial : plan.trials) forgotten.insert(trial.name);
  }
  for (const WrittenPlan& plan : read_plans(files, out)) {
    if (is_forgotten(plan)) continue;
    for (const PlannedTrial& trial : plan.trials) forgotten.erase(trial.name);
  }
  // While a plan is there its trials are known; so what hangs on it goes first.
  for (const std::string& name : forgotten) {
    forget_failure(files, out, name);
    forget_stopped(files, out, name);
    CheckpointFolder(files, out, name).clear();
  }
  for (const WrittenPlan& plan : read_plans(files, out)) {
    if (!is_forgotten(plan) || plan.path == layout.plan()) continue;
    forget_shards(files, out, plan.path.stem().string());
    files.remove(plan.path);
  }
  write_union(files, layout, forgotten);
}

}  // namespace winnow
