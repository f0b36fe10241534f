#include "experiments/run/rung_draw.h"

#include <algorithm>
#include <set>

#include "experiments/results/layout.h"
#include "experiments/results/progress_file.h"
#include "experiments/run/sweep_state.h"

namespace winnow {
namespace {

// How long a group without work hopes to see somebody at work, of which a trial that was just drawn shows nothing yet.
constexpr std::chrono::seconds kHope = ProgressFile::kStale;
constexpr std::chrono::milliseconds kFirstPace{100}, kSlowestPace{2000};
// Where some of what is waited for is known to be lost, or left to a later round or another run, which shows itself: longer than two looks, as a trial
// that is between two of its legs shows nothing.
constexpr std::chrono::seconds kLittleHope{5};
// Where a trial was in work and is so no more, and has not come to its rung: as long as it may take to publish what it was saved as, which
// comes between the last beat of its heart and the news of it.
constexpr std::chrono::seconds kSomeHope{15};

}  // namespace

RungDraw::RungDraw(const TrialDraw::Job& job, RungBoard& board, std::span<const std::size_t> list, Tickets& tickets)
    : job_(job),
      board_(board),
      list_(list.begin(), list.end()),
      tickets_(tickets),
      pace_(kFirstPace),
      saw_work_(Clock::now()) {
  const std::set<std::size_t> listed(list.begin(), list.end());
  for (std::size_t at = 0; at < job_.trials.size(); ++at) {
    if (!board_.table().is_due(at) || listed.contains(at)) continue;
    if (job_.files.exists(Layout(job_.out).trial(job_.trials.name(at)))) board_.leave_out(at);
  }
}

std::optional<std::size_t> RungDraw::take(std::size_t at) {
  pace_ = kFirstPace;
  look_at_ = {};
  saw_work_ = Clock::now();
  take_up(job_.postponed[at]);  // that another run had brought it to its rung is no end of it
  return at;
}

std::optional<std::size_t> RungDraw::next() {
  just_looked_ = Clock::now() >= look_at_;
  return just_looked_ ? look() : std::nullopt;
}

std::optional<std::size_t> RungDraw::look() {
  const bool news = board_.refresh();
  if (const auto at = board_.claim()) return take(*at);
  while (!handed_out_) {
    const auto ticket = static_cast<std::size_t>(tickets_.next(0));
    handed_out_ = ticket >= list_.size();
    if (handed_out_) break;
    const std::size_t at = list_[ticket];
    // Another run may have brought it to its rung meanwhile. One that failed before, or whose file is gone, is trained again.
    const bool again =
        board_.table().has_failed(at) || !job_.files.exists(Layout(job_.out).stopped(job_.trials.name(at)));
    if (board_.table().is_due(at) || again) return take(at);
    note(job_.postponed[at], Postponed::Ended);
  }
  if (news) pace_ = kFirstPace;
  look_at_ = Clock::now() + pace_;
  pace_ = std::min<Clock::duration>(2 * pace_, kSlowestPace);
  return std::nullopt;
}

bool RungDraw::sees_work() {
  std::vector<std::string> names = job_.files.list(Layout(job_.out).running());
  for (std::string& name : names) name.resize(std::min(name.size(), name.rfind('.')));
  std::erase_if(names, [&](const std::string& name) { return !board_.competes(name); });
  begun_.insert(names.begin(), names.end());
  return std::ranges::any_of(names, [&](const std::string& name) { return is_in_work(job_.files, job_.out, name); });
}

bool RungDraw::over() {
  if (!board_.table().waits()) board_.refresh_claims();
  if (!board_.table().waits()) return true;
  if (!just_looked_) return false;
  const auto now = Clock::now();
  if (sees_work()) saw_work_ = now;
  return now - saw_work_ >= hope();
}

std::chrono::seconds RungDraw::hope() const {
  if (job_.any_died != nullptr && *job_.any_died) return kLittleHope;
  const auto is_left = [](Postponed& of) {
    return seen(of) == Postponed::InWorkElsewhere || seen(of) == Postponed::Suspect;
  };
  if (std::ranges::any_of(job_.postponed, is_left)) return kLittleHope;
  const bool gone = std::ranges::any_of(begun_, [&](const std::string& name) { return board_.is_due(name); });
  return gone ? kSomeHope : kHope;
}

}  // namespace winnow
