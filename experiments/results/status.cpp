#include "experiments/results/status.h"

#include <algorithm>
#include <ctime>
#include <exception>
#include <map>
#include <set>
#include <span>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include "core/error.h"
#include "experiments/results/checkpoint_file.h"
#include "experiments/results/layout.h"
#include "experiments/results/result_index.h"
#include "experiments/results/rung_claims.h"
#include "experiments/results/trial_file.h"

namespace winnow {
namespace {

std::optional<std::int64_t> unix_time(const std::string& iso) {
  std::tm parts{};
  const char* rest = strptime(iso.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (rest == nullptr || *rest != '\0') return std::nullopt;
  return timegm(&parts);
}

// Results per hour: over the last hour of work, or over all of it if it was shorter.
std::optional<double> rate_of(std::vector<std::int64_t> times, double mean_seconds) {
  if (times.empty() || mean_seconds <= 0) return std::nullopt;
  std::sort(times.begin(), times.end());
  const std::int64_t newest = times.back();
  const auto first = std::lower_bound(times.begin(), times.end(), newest - 3600);
  const auto count = static_cast<double>(times.end() - first);
  // The first result of the window took time too.
  const double span = std::min(3600.0, static_cast<double>(newest - *first) + mean_seconds);
  return count * 3600.0 / std::max(span, 1.0);
}

// A trial that diverged ended early, so it says nothing of the others. Where none has finished, those in work do; nothing
// while none is.
std::optional<double> time_left(const SweepStatus& status) {
  if (status.running.empty()) return std::nullopt;
  double left = 0, longest = 0, whole = 0;
  for (const RunningTrial& trial : status.running) {
    const auto rest = seconds_left_of(trial, status.mean_seconds);
    if (!rest) return std::nullopt;
    left += *rest;
    longest = std::max(longest, *rest);
    whole += *rest + static_cast<double>(trial.updated - trial.started);
  }
  const auto at_a_time = static_cast<double>(status.running.size());
  const double each = status.mean_seconds > 0 ? status.mean_seconds : whole / at_a_time;
  left += each * static_cast<double>(status.missing.size() + status.failed.size());
  return std::max(longest, left / at_a_time);
}

// A result, or why there is none.
struct LookedAt {
  TrialNote note = {};
  std::exception_ptr problem = {};
};

// Of many, by several threads: each waits for its file system.
std::vector<LookedAt> look_at(Files& files, const Layout& layout, std::span<const std::string> names,
                              const ResultIndex& index) {
  constexpr std::size_t kManyResults = 4096, kMostLookers = 8;
  std::vector<LookedAt> found(names.size());
  const auto look = [&](std::size_t from, std::size_t until) {
    for (std::size_t at = from; at < until; ++at) {
      try {
        const auto path = layout.trial(names[at]);
        const auto stamp = index.has(names[at]) ? files.stamp(path) : std::nullopt;
        const TrialNote* indexed = stamp ? index.find(names[at], *stamp) : nullptr;
        found[at].note = indexed != nullptr ? *indexed : read_note(files, path);
        check_owner(path, found[at].note.name);
      } catch (...) {
        found[at].problem = std::current_exception();
      }
    }
  };
  const std::size_t lookers =
      names.size() < kManyResults ? 1 : std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, kMostLookers);
  std::vector<std::jthread> others;
  for (std::size_t i = 1; i < lookers; ++i) {
    others.emplace_back(look, names.size() * i / lookers, names.size() * (i + 1) / lookers);
  }
  look(0, names.size() / lookers);
  others.clear();
  return found;
}

}  // namespace

std::optional<double> seconds_left_of(const RunningTrial& trial, double mean_seconds) {
  const Progress& progress = trial.progress;
  const auto share_of = [&](std::int64_t steps) {
    return progress.steps > 0 ? static_cast<double>(steps) / static_cast<double>(progress.steps) : 0.0;
  };
  const double done_here = share_of(progress.step - progress.from);
  const auto taken = static_cast<double>(trial.updated - trial.started);
  if (done_here > 0.02 && taken > 0) return taken * std::max(0.0, 1 - share_of(progress.step)) / done_here;
  if (mean_seconds <= 0) return std::nullopt;
  return std::max(0.0, mean_seconds * (1 - share_of(progress.from)) - taken);
}

void check_output_directory(Files& files, const std::filesystem::path& out) {
  const Layout layout(out);
  for (const auto& place : {layout.plan(), layout.plans(), layout.trials()}) {
    if (files.exists(place)) return;
  }
  if (!files.exists(out)) fail(ErrorKind::Input, "{}: no such directory", out.string());
  const std::string smoke =
      files.exists(layout.smoke()) ? fmt::format("; those of a smoke run are in {}", layout.smoke().string()) : "";
  fail(ErrorKind::Input, "{}: has no results of winnow run (no plans/, no trials/){}", out.string(), smoke);
}

bool is_unreadable(const Error& error) {
  return error.kind() == ErrorKind::Input || error.kind() == ErrorKind::Settings || error.kind() == ErrorKind::Io;
}

std::vector<std::string> published_trials(Files& files, const std::filesystem::path& out) {
  std::vector<std::string> names;
  const auto root = Layout(out).trials();
  for (const auto& folder : files.list(root)) {
    for (const auto& file : files.list(root / folder)) {
      if (file.ends_with(".h5") && file.starts_with(folder)) names.push_back(file.substr(0, file.size() - 3));
    }
  }
  if (!std::ranges::is_sorted(names)) std::ranges::sort(names);  // folders and what is in them come sorted
  return names;
}

SweepStatus of_current_plans(SweepStatus status) {
  const auto is_earlier = [&](const std::string& name) {
    return std::binary_search(status.earlier.begin(), status.earlier.end(), name);
  };
  const auto of_earlier = [&](const auto& trial) { return is_earlier(trial.name); };
  std::erase_if(status.done, is_earlier);
  std::erase_if(status.diverged, is_earlier);
  std::erase_if(status.stopped, is_earlier);
  std::erase_if(status.failed, of_earlier);
  std::erase_if(status.stale, of_earlier);
  std::erase_if(status.damaged, of_earlier);
  std::erase_if(status.missing, of_earlier);
  status.planned -= status.earlier.size();
  return status;
}

SweepStatus read_status(Files& files, const std::filesystem::path& out, std::int64_t now) {
  check_output_directory(files, out);
  const Layout layout(out);
  SweepStatus status;
  std::unordered_map<std::string, std::string> known;  // without a state so far, with its settings
  auto in_work = read_running(files, out, now);
  std::set<std::string> live;
  for (const RunningTrial& trial : in_work) {
    if (!trial.stale) live.insert(trial.name);
  }
  PlansByTime plans = plans_by_time(read_plans(files, out), live);
  std::unordered_set<std::string> current(live.begin(), live.end());
  for (auto* part : {&plans.current, &plans.earlier}) {
    for (WrittenPlan& plan : *part) {
      known.reserve(known.size() + plan.trials.size());
      for (PlannedTrial& trial : plan.trials) {
        if (part == &plans.current && !plans.earlier.empty()) current.insert(trial.name);
        known.emplace(std::move(trial.name), std::move(trial.canonical));
      }
    }
  }
  // Where there is but one plan, none of its trials can be of an earlier one.
  const bool all_current = plans.earlier.empty();
  const bool any_plan = !known.empty();
  std::set<std::string> earlier;
  status.planned = known.size();
  if (!all_current) {
    for (const auto& [name, canonical] : known) {
      if (!current.contains(name)) earlier.insert(name);
    }
  }
  const auto count_unplanned = [&](const std::string& name) {
    ++status.planned;
    if (any_plan && !current.contains(name)) earlier.insert(name);
  };
  // What has a state is none of those that are left in the end. Those that no plan has are counted here.
  const auto settled = [&](const std::string& name) {
    if (known.erase(name) == 0) count_unplanned(name);
  };

  std::vector<std::int64_t> times;
  double seconds = 0;
  const auto published = published_trials(files, out);
  const ResultIndex index(files, out);
  const std::vector<LookedAt> results = look_at(files, layout, published, index);
  for (std::size_t at = 0; at < published.size(); ++at) {
    const std::string& name = published[at];
    const bool unplanned = known.erase(name) == 0;
    try {
      if (results[at].problem) std::rethrow_exception(results[at].problem);
      const TrialNote& note = results[at].note;
      if (unplanned) count_unplanned(name);
      if (const auto time = unix_time(note.created)) times.push_back(*time);
      if (note.outcome == Outcome::Diverged) {
        status.diverged.push_back(name);
      } else {
        status.done.push_back(name);
        seconds += note.seconds;
      }
    } catch (const Error& error) {
      if (!is_unreadable(error)) throw;
      status.damaged.push_back({name, error.what()});
    }
  }
  if (!status.done.empty()) status.mean_seconds = seconds / static_cast<double>(status.done.size());
  status.trials_per_hour = rate_of(times, status.mean_seconds);

  const auto has_result = [&](const std::string& name) {
    return std::binary_search(published.begin(), published.end(), name);
  };
  for (auto& trial : in_work) {
    if (has_result(trial.name)) continue;
    if (!trial.stale) settled(trial.name);
    (trial.stale ? status.stale : status.running).push_back(std::move(trial));
  }
  for (auto& failure : read_failures(files, out)) {
    if (has_result(failure.name) || live.contains(failure.name)) continue;
    settled(failure.name);
    status.failed.push_back(std::move(failure));
  }
  const std::vector<std::string> stopped = stopped_trials(files, out);
  const std::set<std::string> to_go_on = let_past_since(files, out, stopped);
  for (const std::string& name : stopped) {
    const bool is_failed = std::ranges::find(status.failed, name, &FailureRecord::name) != status.failed.end();
    if (is_failed || live.contains(name)) continue;
    if (to_go_on.contains(name)) {
      if (known.try_emplace(name).second) count_unplanned(name);  // missing: a run was killed before it came further
      continue;
    }
    settled(name);
    status.stopped.push_back(name);
  }
  status.saved = saved_steps(files, out);
  status.runs = account_of_runs(files, out, now);
  std::erase_if(status.saved, [&](const auto& trial) { return has_result(trial.first); });
  for (auto& [name, canonical] : known) status.missing.push_back({name, std::move(canonical)});
  std::ranges::sort(status.missing, {}, &PlannedTrial::name);
  status.earlier.assign(earlier.begin(), earlier.end());
  status.seconds_left = status.earlier.empty() ? time_left(status) : time_left(of_current_plans(status));
  return status;
}

}  // namespace winnow
