#include "experiments/run/rule_state.h"

#include <algorithm>
#include <limits>
#include <map>
#include <string>

#include "core/error.h"
#include "experiments/results/layout.h"
#include "experiments/results/status.h"
#include "experiments/results/trial_file.h"

namespace winnow {

// Of one that another run published, or this one before it was killed, or that was trained without the rule.
void RuleState::take_in_result(std::size_t at) {
  try {
    const TrialResult result = read_trial(files_, Layout(out_).trial(trials_.name(at)));
    if (result.outcome == Outcome::Diverged) return board_.failed(at);
    board_.finished(at, result.epochs);
  } catch (const Error& error) {
    // What it says may be read another time, or be trained again when somebody has removed it.
    if (!is_unreadable(error)) throw;
    board_.leave_out(at);
  }
}

// Somebody removed what was known of it (winnow forget), or of its failure (winnow retry), so that it is trained again.
bool RuleState::is_forgotten(std::size_t at) {
  const Layout layout(out_);
  const std::string name = trials_.name(at);
  return !board_.table().is_due(at) && !files_.exists(layout.trial(name)) && !files_.exists(layout.failure(name)) &&
         (board_.table().has_failed(at) || !files_.exists(layout.stopped(name)));
}

std::vector<char> RuleState::due(std::span<const Found> found, bool retry) {
  const RungTable& table = board_.table();
  const Layout layout(out_);
  for (std::size_t at = 0; at < trials_.size(); ++at) {
    if (!table.is_due(at)) continue;
    const std::string name = trials_.name(at);
    if (found[at] == Found::Done || found[at] == Found::Diverged || files_.exists(layout.trial(name))) {
      // One that ended badly after its last rung was written down as that.
      board_.target(at) ? take_in_result(at) : board_.finished(at);
    } else if (!retry && files_.exists(layout.failure(name))) {
      board_.failed(at);
    }
  }
  while (board_.claim()) {
  }
  std::vector<char> due(trials_.size(), 0);
  for (std::size_t at = 0; at < trials_.size(); ++at) {
    const bool again = retry ? found[at] == Found::FailedBefore || is_forgotten(at) : false;
    if (table.is_due(at) || again) due[at] = 1;
  }
  return due;
}

std::vector<char> RuleState::waits(std::span<const char> due) const {
  const RungTable& table = board_.table();
  // Of a group, the first rung that is open: what is due above decides nothing there.
  std::map<std::string, std::int64_t> lowest;
  for (std::size_t at = 0; at < due.size(); ++at) {
    if (due[at] == 0) continue;
    const std::int64_t next = board_.target(at).value_or(std::numeric_limits<std::int64_t>::max());
    const auto [known, is_new] = lowest.try_emplace(table.contestant(at).group, next);
    known->second = std::min(known->second, next);
  }
  std::vector<char> waits(due.size(), 0);
  for (std::size_t at = 0; at < due.size(); ++at) {
    const auto place = due[at] == 0 ? board_.target(at) : std::nullopt;
    const auto open = place ? lowest.find(table.contestant(at).group) : lowest.end();
    if (open != lowest.end() && open->second <= *place) waits[at] = 1;
  }
  return waits;
}

}  // namespace winnow
