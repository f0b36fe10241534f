#include "experiments/results/plan_file.h"

#include <algorithm>
#include <set>
#include <sstream>

#include "core/error.h"
#include "experiments/results/digest.h"
#include "experiments/results/failure_file.h"
#include "experiments/results/layout.h"
#include "experiments/results/trial_file.h"

namespace winnow {
namespace {

constexpr const char* kHeader = "# winnow-plan 1.0\tname\tsettings";
constexpr std::string_view kWritten = "# written ";

std::string plan_text(std::span<const PlannedTrial> trials, const std::string& written) {
  std::string text = std::string(kHeader) + "\n";
  if (!written.empty()) text += fmt::format("{}{}\n", kWritten, written);
  for (const auto& trial : trials) text += trial.name + "\t" + trial.canonical + "\n";
  return text;
}

// The same trials are the same plan, in whatever order.
std::string digest_of(std::span<const PlannedTrial> trials) {
  std::set<std::string> names;
  for (const auto& trial : trials) names.insert(trial.name);
  Sha256 sum;
  for (const auto& name : names) sum.update(name);
  return sum.hex().substr(0, 20);
}

WrittenPlan read_one(Files& files, const std::filesystem::path& path) {
  WrittenPlan plan{path, "", {}};
  std::istringstream lines(text_of(files.read(path)));
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    if (number == 1) {
      if (line != kHeader) fail(ErrorKind::Input, "{}:1: is not a winnow plan of version 1", path.string());
      continue;
    }
    if (line.starts_with('#')) {
      if (line.starts_with(kWritten)) plan.written = line.substr(kWritten.size());
      continue;
    }
    const auto tab = line.find('\t');
    PlannedTrial trial{line.substr(0, tab), tab == std::string::npos ? "" : line.substr(tab + 1)};
    if (tab == std::string::npos || !is_trial_name(trial.name)) {
      fail(ErrorKind::Input, "{}:{}: expected <id>-r<replicate>, a tab and settings", path.string(), number);
    }
    plan.trials.push_back(std::move(trial));
  }
  return plan;
}

// Gives plan.tsv what all plans have. Another process may write it at the same time, without the plan of this one, or a
// plan beside it: whoever writes last has seen all of them. `all` reads the plans.
template <class All>
void write_union(Files& files, const std::filesystem::path& path, All&& all) {
  for (;;) {
    const std::string text = plan_text(all(), "");
    if (files.exists(path) && text_of(files.read(path)) == text) return;
    files.replace(path, text);
  }
}

// Every trial once.
std::vector<PlannedTrial> distinct(std::vector<WrittenPlan> plans) {
  std::vector<PlannedTrial> all;
  std::set<std::string> known;
  for (WrittenPlan& plan : plans) {
    for (auto& trial : plan.trials) {
      if (known.insert(trial.name).second) all.push_back(std::move(trial));
    }
  }
  return all;
}

}  // namespace

bool is_trial_name(const std::string& name) {
  const auto dash = name.rfind("-r");
  if (dash == std::string::npos || dash < 2 || dash + 2 == name.size()) return false;
  return name.find_first_not_of("0123456789abcdef") == dash &&
         name.find_first_not_of("0123456789", dash + 2) == std::string::npos;
}

PlannedTrial planned(const TrialSpec& spec) {
  std::string line = spec.canonical();
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c == '\n' || c == '\t' || c == '\r'; }, ' ');
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return {spec.name(), line};
}

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
  const Layout layout(out);
  files.replace(layout.plans() / (digest_of(trials) + ".tsv"), plan_text(trials, now_utc()));
  write_union(files, layout.plan(), [&] { return read_plan(files, out); });
}

void archive_sweep(Files& files, const std::filesystem::path& out, const std::string& text) {
  Sha256 sum;
  sum.update(text);
  files.write_once(Layout(out).sweeps() / (sum.hex().substr(0, 20) + ".yaml"),
                   std::as_bytes(std::span(text.data(), text.size())));
}

std::vector<WrittenPlan> read_plans(Files& files, const std::filesystem::path& out) {
  const Layout layout(out);
  std::vector<WrittenPlan> plans;
  for (const auto& name : files.list(layout.plans())) {
    if (name.ends_with(".tsv")) plans.push_back(read_one(files, layout.plans() / name));
  }
  std::stable_sort(plans.begin(), plans.end(),
                   [](const WrittenPlan& a, const WrittenPlan& b) { return a.written > b.written; });
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

std::vector<PlannedTrial> read_plan(Files& files, const std::filesystem::path& out) {
  return distinct(read_plans(files, out));
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
  std::set<std::string> forgotten;
  for (const WrittenPlan& plan : plans) {
    for (const PlannedTrial& trial : plan.trials) forgotten.insert(trial.name);
  }
  for (const WrittenPlan& plan : read_plans(files, out)) {
    if (is_forgotten(plan)) continue;
    for (const PlannedTrial& trial : plan.trials) forgotten.erase(trial.name);
  }
  // While a plan is there its trials are known; so what hangs on it goes first.
  for (const std::string& name : forgotten) forget_failure(files, out, name);
  for (const WrittenPlan& plan : read_plans(files, out)) {
    if (is_forgotten(plan) && plan.path != layout.plan()) files.remove(plan.path);
  }
  write_union(files, layout.plan(), [&] {
    std::vector<WrittenPlan> left = read_plans(files, out);
    for (WrittenPlan& plan : left) {
      if (plan.path != layout.plan()) continue;
      std::erase_if(plan.trials, [&](const PlannedTrial& trial) { return forgotten.contains(trial.name); });
    }
    return distinct(std::move(left));
  });
}

}  // namespace winnow
