#include "experiments/run/sweep_rounds.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <thread>
#include <tuple>
#include <utility>

#include "core/error.h"
#include "experiments/run/lane_desk.h"
#include "experiments/run/run_trial.h"
#include "experiments/run/worker_crew.h"

namespace winnow {

bool SweepRounds::train_all(std::vector<std::size_t> left) {
  // A trial that finds what it needs neither done nor in work has its next turn in the next round. Each round settles
  // all that lie one level deeper, so that rounds come to an end.
  bool go_on = true;
  for (settled_ = 0; go_on && !left.empty(); ++settled_) {
    const std::size_t before = left.size();
    go_on = run_rounds(left);
    left = take_postponed(Postponed::Waiting);
    if (any_refused_) return go_on;  // what waits for trials that were left is left, too
    if (!go_on || settled_ < job_.needs.deepest || left.size() < before) continue;
    fail(ErrorKind::Internal, "trials wait for others that have ended");
  }
  return go_on;
}

bool SweepRounds::train_due(const std::vector<std::size_t>& due) {
  std::ranges::fill(postponed_, Postponed::Untouched);
  return run_rounds(due);
}

bool SweepRounds::run_rounds(const std::vector<std::size_t>& left) {
  std::map<int, std::vector<std::size_t>, std::greater<>> by_ranks;
  for (const std::size_t at : left) by_ranks[job_.trials.ranks(at)].push_back(at);
  bool go_on = true;
  for (auto& [ranks, list] : by_ranks) {
    // What another run has in work comes last: two runs on one directory share it.
    if (go_on) go_on = run_round(ranks, list, InWorkElsewhere::Postpone);
    if (go_on) go_on = run_round(ranks, take_postponed(Postponed::InWorkElsewhere), InWorkElsewhere::Train);
    // What ended its process is alone in the next one, until it has a result or has ended too many.
    for (std::vector<std::size_t> suspects; go_on && !(suspects = take_postponed(Postponed::Suspect)).empty();) {
      go_on = run_round(ranks, suspects, InWorkElsewhere::Train, 1);
    }
  }
  return go_on;
}

// The trials of which this became on some rank; the same list on all of them.
std::vector<std::size_t> SweepRounds::take_postponed(Postponed why) {
  std::vector<std::size_t> list;
  for (std::size_t i = 0; i < job_.trials.size(); ++i) {
    if (postponed_[i] != why) continue;
    postponed_[i] = Postponed::Untouched;
    list.push_back(i);
  }
  return list;
}

// Longest first, with what waits for it; trials that need others come behind those. What failed before comes last, since
// a trial that ends its job would keep all others from their turn.
void SweepRounds::order(std::vector<std::size_t>& list) const {
  std::ranges::stable_sort(list, {}, [&](std::size_t at) {
    return std::tuple(job_.found[at] == Found::FailedBefore, job_.needs.depth[at], -job_.needs.chain[at]);
  });
}

bool SweepRounds::run_round(int ranks, std::vector<std::size_t> list, InWorkElsewhere how, std::optional<int> at_once) {
  if (list.empty()) return true;
  order(list);
  const int wanted = at_once.value_or(job_.at_once);
  if (job_.by_workers) return run_workers(list, how, wanted);
  const int groups = job_.world.size() / ranks, mine = job_.world.rank() / ranks;
  const auto group = job_.world.split(mine, job_.world.rank());
  const auto tickets = job_.world.tickets(TrialDraw::counters(job_.trials, list));
  const auto each = ranks == 1 ? TrialLanes::at_once(wanted, most_trials(list), groups) : TrialLanes::AtOnce{};
  if (each.most > 1) {
    run_lanes(*tickets, list, how, each);
  } else if (mine < groups && !refused_.contains(ranks)) {
    // Ranks behind the last whole group have nothing to do in this round.
    TrialRunner trainer(runner(), {.news = news(), .stop = job_.stop, .tally = job_.tally});
    trainer.run(*group, *tickets, list, how);
    if (trainer.refused()) refused_.insert(ranks);
  }
  return finish_round();
}

// A single trial can let all others past a rung.
std::size_t SweepRounds::most_trials(std::span<const std::size_t> list) const {
  return job_.rule != nullptr ? job_.trials.size() : list.size();
}

// Of this rank.
TrialRunner::Job SweepRounds::runner() {
  return {.trials = job_.trials,
          .options = job_.options,
          .threads = job_.cores.threads,
          .devices = job_.devices,
          .place = job_.place,
          .sweep_text = job_.sweep_text,
          .read_ahead = job_.cores.read_ahead,
          .files = job_.files,
          .postponed = postponed_,
          .depths = job_.needs.depth,
          .settled = settled_,
          .crash_mark = job_.crash_mark,
          .rule = job_.rule};
}

NewsDesk& SweepRounds::news() const {
  return job_.world.rank() == 0 ? static_cast<NewsDesk&>(job_.desk) : job_.by_mail;
}

// By this rank, several trials at once. What it throws leaves other ranks waiting, as what a TrialRunner throws.
void SweepRounds::run_lanes(Tickets& tickets, std::span<const std::size_t> list, InWorkElsewhere how,
                            const TrialLanes::AtOnce& at_once) {
  std::vector<SharedBoard::Entry> entries(static_cast<std::size_t>(at_once.most));
  const TrialRunner::Job runner = this->runner();
  std::optional<TrialLanes> lanes;
  LaneDesk desk({.tickets = tickets, .stop = job_.stop, .news = news(), .wake = [&] { lanes->wake(); }});
  lanes.emplace(TrialLanes::Job{.runner = runner,
                                .list = list,
                                .how = how,
                                .entries = entries,
                                .links = [&] { return desk.links(); },
                                .failed = [&](const std::exception&) { desk.give_up(); }});
  lanes->run(at_once, job_.step_costs, [&] { desk.serve(); });
  desk.serve();
  for (const SharedBoard::Entry& entry : entries) job_.tally += entry.tally;
  desk.throw_what_went_wrong();
  if (std::ranges::any_of(entries, &SharedBoard::Entry::through)) return;
  throw GpuDoesNotStart(ErrorKind::Unavailable, entries.front().no_gpu.data());
}

// `at_once`: trials that each trains; 0: as many as make it faster.
bool SweepRounds::run_workers(std::span<const std::size_t> list, InWorkElsewhere how, int at_once) {
  const std::size_t most = most_trials(list);
  const int workers = static_cast<int>(std::min(static_cast<std::size_t>(job_.cores.workers), most));
  const TrialLanes::AtOnce each = TrialLanes::at_once(at_once, most, workers);
  return WorkerCrew({.trials = job_.trials,
                     .options = job_.options,
                     .threads = job_.cores.threads,
                     .devices = job_.devices,
                     .sweep_text = job_.sweep_text,
                     .read_ahead = job_.cores.read_ahead,
                     .files = job_.files,
                     .desk = job_.desk,
                     .tally = job_.tally,
                     .postponed = postponed_,
                     .step_costs = job_.step_costs,
                     .depths = job_.needs.depth,
                     .settled = settled_,
                     .rule = job_.rule},
                    workers, each, TrialDraw::counters(job_.trials, list))
      .run(list, how);
}

// Until all ranks have come here this one sleeps, and still passes on what it is told.
bool SweepRounds::finish_round() {
  std::vector<std::uint64_t> said;
  for (const Postponed what : postponed_) said.push_back(static_cast<std::uint64_t>(what));
  said.push_back(refused_.empty() ? 0 : 1);
  said.push_back(job_.stop() ? 1 : 0);
  const auto all_here = job_.world.start_all_reduce_max(std::span(said));
  watch_.begin();
  for (auto pause = std::chrono::microseconds(50); !all_here->poll();) {
    job_.stop();
    watch_.look();
    if (job_.world.rank() == 0) job_.desk.listen();
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, std::chrono::microseconds(10'000));
  }
  std::transform(said.begin(), said.end() - 2, postponed_.begin(),
                 [](std::uint64_t what) { return static_cast<Postponed>(what); });
  any_refused_ = *(said.end() - 2) != 0;
  return said.back() == 0;
}

}  // namespace winnow
