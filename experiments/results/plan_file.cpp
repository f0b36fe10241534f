#include "experiments/results/plan_file.h"

#include <algorithm>
#include <set>
#include <sstream>

#include "core/error.h"
#include "experiments/results/layout.h"

namespace winnow {
namespace {

constexpr const char* kHeader = "# winnow-plan 1.0\tname\tsettings";

// "3f2a...-r0": what else is a path, and must not be followed.
bool is_trial_name(const std::string& name) {
  const auto dash = name.rfind("-r");
  if (dash == std::string::npos || dash < 2 || dash + 2 == name.size()) return false;
  return name.find_first_not_of("0123456789abcdef") == dash &&
         name.find_first_not_of("0123456789", dash + 2) == std::string::npos;
}

}  // namespace

PlannedTrial planned(const TrialSpec& spec) {
  std::string line = spec.canonical;
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c == '\n' || c == '\t' || c == '\r'; }, ' ');
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return {spec.name(), line};
}

void write_plan(Files& files, const std::filesystem::path& out, std::span<const PlannedTrial> trials) {
  std::vector<PlannedTrial> all(trials.begin(), trials.end());
  std::set<std::string> known;
  for (const auto& trial : trials) known.insert(trial.name);
  const auto before = read_plan(files, out);
  for (const auto& trial : before) {
    if (!known.contains(trial.name)) all.push_back(trial);
  }
  if (all == before) return;
  std::string text = std::string(kHeader) + "\n";
  for (const auto& trial : all) text += trial.name + "\t" + trial.canonical + "\n";
  files.replace(Layout(out).plan(), text);
}

std::vector<PlannedTrial> read_plan(Files& files, const std::filesystem::path& out) {
  const auto path = Layout(out).plan();
  if (!files.exists(path)) return {};
  std::istringstream lines(text_of(files.read(path)));
  std::vector<PlannedTrial> trials;
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    if (number == 1) {
      if (line != kHeader) fail(ErrorKind::Input, "{}:1: is not a winnow plan of version 1", path.string());
      continue;
    }
    const auto tab = line.find('\t');
    PlannedTrial trial{line.substr(0, tab), tab == std::string::npos ? "" : line.substr(tab + 1)};
    if (tab == std::string::npos || !is_trial_name(trial.name)) {
      fail(ErrorKind::Input, "{}:{}: expected <id>-r<replicate>, a tab and settings", path.string(), number);
    }
    trials.push_back(std::move(trial));
  }
  return trials;
}

}  // namespace winnow
