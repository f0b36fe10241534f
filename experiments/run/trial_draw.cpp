#include "experiments/run/trial_draw.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "experiments/results/layout.h"
#include "experiments/run/sweep_state.h"

namespace winnow {
namespace {

// How long a group hopes after it last saw what it waits for in work, or took something up itself: a trial that another
// group has just drawn has no heartbeat yet.
constexpr std::chrono::milliseconds kGrace{1000};

std::chrono::steady_clock::time_point from_now() { return std::chrono::steady_clock::now() + kGrace; }

}  // namespace

void note(std::uint64_t& place, Postponed what) {
  const std::atomic_ref<std::uint64_t> most(place);
  for (std::uint64_t seen = most; seen < what && !most.compare_exchange_weak(seen, what);) {
  }
}

TrialDraw::TrialDraw(const Job& job, std::span<const std::size_t> list, Tickets& tickets)
    : job_(job), tickets_(tickets), hope_ends_(from_now()) {
  for (const std::size_t at : list) {
    if (!job_.trials[at].needs.empty()) {
      open_.push_back({at, 1 + open_.size()});
      continue;
    }
    independent_.push_back(at);
    if (open_.empty()) ++first_;
  }
}

std::size_t TrialDraw::counters(std::span<const TrialSpec> trials, std::span<const std::size_t> list) {
  const auto dependent = [&](std::size_t at) { return !trials[at].needs.empty(); };
  return 1 + static_cast<std::size_t>(std::ranges::count_if(list, dependent));
}

std::optional<std::size_t> TrialDraw::next() {
  if (!held_ && !handed_out_) {
    const auto ticket = static_cast<std::size_t>(tickets_.next(0));
    handed_out_ = ticket >= independent_.size();
    if (ticket < first_) return independent_[ticket];
    if (!handed_out_) held_ = independent_[ticket];
    if (held_) note(job_.postponed[*held_], kWaiting);  // if this process dies before it comes to it
  }
  std::optional<std::size_t> found = next_dependent();
  if (!found) found = std::exchange(held_, std::nullopt);
  if (!found) return std::nullopt;
  hope_ends_ = from_now();
  note(job_.postponed[*found], kTaken);
  return found;
}

bool TrialDraw::over() const { return open_.empty() || std::chrono::steady_clock::now() >= hope_ends_; }

std::optional<std::size_t> TrialDraw::next_dependent() {
  std::vector<Dependent> waiting;
  std::optional<std::size_t> found;
  for (const Dependent& one : open_) {
    if (found || !is_ready(job_.trials[one.at], job_.depths[one.at])) {
      waiting.push_back(one);
      note(job_.postponed[one.at], kWaiting);
    } else if (tickets_.next(one.counter) == 0) {
      found = one.at;
    }
  }
  open_ = std::move(waiting);
  return found;
}

// Without a look into results: that is for whoever takes the trial up.
bool TrialDraw::is_ready(const TrialSpec& spec, int depth) {
  if (depth <= job_.settled) return true;
  for (const TrialNeed& need : spec.needs) {
    // In this order: a trial that was in work has a result now, or has been given up.
    const bool coming = is_coming(need.trial);
    if (is_done(need.trial)) continue;
    if (coming) hope_ends_ = from_now();
    return false;
  }
  return true;
}

bool TrialDraw::is_done(const std::string& trial) {
  if (done_.contains(trial)) return true;
  if (!job_.files.exists(Layout(job_.out).trial(trial))) return false;
  done_.insert(trial);
  return true;
}

bool TrialDraw::is_coming(const std::string& trial) {
  return !done_.contains(trial) && is_in_work(job_.files, job_.out, trial);
}

}  // namespace winnow
