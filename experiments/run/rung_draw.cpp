#include "experiments/run/rung_draw.h"

#include <algorithm>

#include "experiments/results/layout.h"
#include "experiments/run/sweep_state.h"

namespace winnow {
namespace {

// A trial that another group has just drawn has no heartbeat yet.
constexpr std::chrono::milliseconds kHope{1000};
// How often heartbeats are looked at.
constexpr std::chrono::milliseconds kLookForWork{500};

}  // namespace

RungDraw::RungDraw(const TrialDraw::Job& job, RungBoard& board, std::span<const std::size_t> list, Tickets& tickets)
    : job_(job),
      board_(board),
      list_(list.begin(), list.end()),
      tickets_(tickets),
      hope_ends_(std::chrono::steady_clock::now() + kHope) {}

std::optional<std::size_t> RungDraw::take(std::size_t at) {
  hope_ends_ = std::chrono::steady_clock::now() + kHope;
  note(job_.postponed[at], Postponed::Taken);
  return at;
}

std::optional<std::size_t> RungDraw::next() {
  board_.refresh();
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
  return std::nullopt;
}

bool RungDraw::sees_work() {
  looked_ = std::chrono::steady_clock::now();
  const std::vector<std::string> files = job_.files.list(Layout(job_.out).running());
  return std::ranges::any_of(files, [&](const std::string& file) {
    const std::string name = file.substr(0, file.rfind('.'));
    return board_.competes(name) && is_in_work(job_.files, job_.out, name);
  });
}

bool RungDraw::over() {
  if (!board_.table().waits()) return true;
  const auto now = std::chrono::steady_clock::now();
  if (now - looked_ >= kLookForWork && sees_work()) hope_ends_ = now + kHope;
  return now >= hope_ends_;
}

}  // namespace winnow
