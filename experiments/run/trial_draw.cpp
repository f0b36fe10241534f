#include "experiments/run/trial_draw.h"

#include <algorithm>
#include <utility>

#include "experiments/results/layout.h"
#include "experiments/results/progress_file.h"
#include "experiments/run/exit_file.h"

namespace winnow {
namespace {

// How long a group hopes after it last saw what it waits for in work, or took something up itself: a trial that another
// group has just drawn has no heartbeat yet.
constexpr std::chrono::milliseconds kGrace{1000};

// Needs that one look goes through, of those that nobody was seen to have in work.
constexpr std::size_t kLookedAt = 256;

std::chrono::steady_clock::time_point from_now() { return std::chrono::steady_clock::now() + kGrace; }

}  // namespace

TrialDraw::TrialDraw(const Job& job, std::span<const std::size_t> list, Tickets& tickets)
    : job_(job), tickets_(tickets), hope_ends_(from_now()) {
  for (const std::size_t at : list) {
    if (!job_.trials.has_needs(at)) {
      independent_.push_back(at);
      if (dependents_.empty()) ++first_;
      continue;
    }
    note(job_.postponed[at], Postponed::Waiting);  // until somebody takes it
    Dependent& dependent = dependents_.emplace_back(Dependent{at, 0});
    for (const TrialNeed& need : job_.trials.needs(at)) {
      if (job_.depths[at] <= job_.settled) break;
      const auto [known, is_new] = by_name_.try_emplace(need.trial, needs_.size());
      if (is_new) needs_.push_back({need.trial, {}});
      needs_[known->second].waiting.push_back(dependents_.size() - 1);
      ++dependent.needs;
    }
    if (dependent.needs == 0) ready_.insert(dependents_.size() - 1);
  }
  open_ = dependents_.size();
  unseen_ = needs_.size();
}

std::size_t TrialDraw::counters(const TrialTable& trials, std::span<const std::size_t> list) {
  return 1 +
         static_cast<std::size_t>(std::ranges::count_if(list, [&](std::size_t at) { return trials.has_needs(at); }));
}

std::optional<std::size_t> TrialDraw::next() {
  if (!held_ && !handed_out_) {
    const auto ticket = static_cast<std::size_t>(tickets_.next(0));
    handed_out_ = ticket >= independent_.size();
    if (ticket < first_) return independent_[ticket];
    if (!handed_out_) held_ = independent_[ticket];
    // If this process dies before it comes to it.
    if (held_) note(job_.postponed[*held_], Postponed::Waiting);
  }
  std::optional<std::size_t> found = next_dependent();
  if (!found) found = std::exchange(held_, std::nullopt);
  if (!found) return std::nullopt;
  hope_ends_ = from_now();
  note(job_.postponed[*found], Postponed::Taken);
  return found;
}

bool TrialDraw::over() { return open_ == 0 || (unseen_ == 0 && std::chrono::steady_clock::now() >= hope_ends_); }

std::optional<std::size_t> TrialDraw::next_dependent() {
  // Now and then although some are ready: one that stands before them may be, too.
  if (!ready_.empty() && std::chrono::steady_clock::now() - looked_ < kGrace) {
    if (auto found = draw_ready()) return found;
  }
  if (open_ > 0) look();
  return draw_ready();
}

std::optional<std::size_t> TrialDraw::draw_ready() {
  while (!ready_.empty()) {
    const std::size_t first = *ready_.begin();
    ready_.erase(ready_.begin());
    --open_;
    if (tickets_.next(1 + first) == 0) return dependents_[first].at;
  }
  return std::nullopt;
}

// Without a look into results: that is for whoever takes the trial up.
void TrialDraw::look() {
  looked_ = std::chrono::steady_clock::now();
  // What is in work comes first: a trial that was has a result now, or has been given up.
  std::vector<std::size_t> ended(coming_.begin(), coming_.end());
  for (const std::string& file : job_.files.list(Layout(job_.out).running())) {
    const auto need = by_name_.find(file.substr(0, file.rfind('.')));
    if (need == by_name_.end() || needs_[need->second].done) continue;
    const auto in_work = read_running(job_.files, job_.out, needs_[need->second].trial, unix_now());
    if (!in_work || in_work->stale) continue;
    // Who waits for another job, which gets on, is not at fault that its own does not.
    if (in_work->progress.step > in_work->progress.from) note_progress();
    coming_.insert(need->second);
    hope_ends_ = from_now();
  }
  for (const std::size_t at : ended) look_at(needs_[at]);
  for (std::size_t looked = 0; looked < std::min(kLookedAt, needs_.size()); ++looked) {
    Need& need = needs_[turn_];
    turn_ = (turn_ + 1) % needs_.size();
    if (unseen_ > 0) --unseen_;
    look_at(need);
  }
}

void TrialDraw::look_at(Need& need) {
  if (need.done || !job_.files.exists(Layout(job_.out).trial(need.trial))) return;
  need.done = true;
  unseen_ = needs_.size();
  coming_.erase(by_name_.at(need.trial));
  for (const std::size_t dependent : need.waiting) {
    if (--dependents_[dependent].needs == 0) ready_.insert(dependent);
  }
}

}  // namespace winnow
