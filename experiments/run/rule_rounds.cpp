#include "experiments/run/rule_rounds.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "core/error.h"
#include "distributed/agree.h"
#include "experiments/results/trial_file.h"
#include "experiments/run/rule_state.h"
#include "experiments/text.h"

namespace winnow {

void RuleRounds::check_shard() const {
  const auto& shard = job_.options.shard;
  if (!shard || shard->of == 1) return;
  fail(ErrorKind::Usage,
       "a sweep with a rule that stops trials ({}) is for one job, which has all that compete, and not for shard {} of "
       "{}",
       job_.rule.text(), shard->number, shard->of);
}

void RuleRounds::leave_out_stopped(std::span<Found> found) const {
  RuleState state(job_.files, job_.options.out, job_.rule, job_.trials);
  const std::vector<char> due = state.due(found, job_.options.retry_failed), waits = state.waits(due);
  for (const RungDecision& decision : state.decisions()) job_.decided(decision);
  for (std::size_t at = 0; at < found.size(); ++at) {
    if (due[at] == 0 && found[at] == Found::Nothing) found[at] = waits[at] != 0 ? Found::Waits : Found::Stopped;
  }
}

// What is due after a round was lost with its process, or nobody was there any more to take it up.
bool RuleRounds::run(std::span<const Found> found, const Round& round) const {
  // The same ones again: another run on this directory has them in hand, or decides about them. What it leaves is for the
  // next run.
  constexpr int kMostTries = 5;
  int in_vain = 0;
  for (std::vector<std::size_t> now = due(found, true), before; !now.empty(); before = now, now = due(found, false)) {
    in_vain = now == before ? in_vain + 1 : 0;
    if (in_vain == kMostTries) {
      if (job_.world.rank() == 0) {
        job_.console.problem(
            fmt::format("{} left to another run on this directory, or to the next one", counted(now.size(), "trial")));
      }
      return true;
    }
    if (in_vain > 0) std::this_thread::sleep_for(std::chrono::seconds(1));
    if (!round(now)) return false;
  }
  return true;
}

// Collective. `first`: before any training of this run, which tries again what failed before.
std::vector<std::size_t> RuleRounds::due(std::span<const Found> found, bool first) const {
  std::vector<char> due(job_.trials.size(), 0);
  agree(job_.world, [&] {
    if (job_.world.rank() != 0) return;
    RuleState state(job_.files, job_.options.out, job_.rule, job_.trials);
    due = state.due(found, first && job_.options.retry_failed);
    for (const RungDecision& decision : state.decisions()) job_.decided(decision);
    if (first) return;
    // Of a process that ended before it could say so; what was heard is written once.
    for (const RungDecision& decision : state.stopped()) {
      const Found before = found[decision.trial];  // a run without the rule may have brought it to its end
      const bool has_ended = before == Found::Stopped || before == Found::Done || before == Found::Diverged;
      if (!has_ended) job_.decided(decision);
    }
  });
  job_.world.broadcast(std::as_writable_bytes(std::span(due)), 0);
  std::vector<std::size_t> list;
  for (std::size_t at = 0; at < due.size(); ++at) {
    if (due[at] != 0) list.push_back(at);
  }
  return list;
}

std::size_t RuleRounds::stopped() const {
  const auto names = stopped_trials(job_.files, job_.options.out);
  std::size_t stopped = 0;
  for (std::size_t at = 0; at < job_.trials.size(); ++at) {
    stopped += std::ranges::binary_search(names, job_.trials.name(at)) ? 1 : 0;
  }
  return stopped;
}

void RuleRounds::say_stopped() const {
  job_.console.line(
      fmt::format("{} of {} stopped by {}", stopped(), counted(job_.trials.size(), "trial"), job_.rule.text()));
}

}  // namespace winnow
