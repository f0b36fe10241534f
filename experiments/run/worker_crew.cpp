#include "experiments/run/worker_crew.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <utility>

#include "distributed/agree.h"
#include "experiments/results/checkpoint_file.h"
#include "experiments/results/failure_file.h"
#include "experiments/results/layout.h"
#include "experiments/run/run_trial.h"
#include "experiments/run/stop_request.h"

namespace winnow {

bool WorkerCrew::run(std::span<const std::size_t> list, InWorkElsewhere how) {
  const auto notice = board_.notice();
  StopRequest stop(*notice);
  StillWorkers still(std::chrono::duration<double>(patience()).count());
  WorkerPool pool({.work = [&](int worker) { work(worker, list, how); },
                   .say = [&](int worker, const std::string& line) { return hear(worker, line); },
                   .died = [&](const WorkerDeath& death) { return lose(death) && !stop(); },
                   .tick =
                       [&] {
                         stop();
                         job_.desk.listen();
                         for (const auto& change : still.look(pool.processes())) say_of_still(change);
                       }});
  bool nobody_left = false;
  do {
    const int lost = static_cast<int>(job_.devices.lost.size());
    devices_ = job_.devices;
    died_idle_.assign(static_cast<std::size_t>(workers_), 0);
    not_started_.reset();
    const bool one_for_each = devices_.usable() > 0 && workers_ <= devices_.gpus;
    pool.run(one_for_each ? std::min(workers_, devices_.usable()) : workers_);
    nobody_left = not_started_ && std::ranges::none_of(board_.entries(), &SharedBoard::Entry::through);
    if (static_cast<int>(job_.devices.lost.size()) == lost) break;
  } while (nobody_left && is_undone(list) && job_.devices.usable() > 0 && !stop());
  for (const SharedBoard::Entry& entry : board_.entries()) job_.tally += entry.tally;
  if (const auto error = board_.reported()) throw *error;
  if (nobody_left && is_undone(list) && !stop()) throw *not_started_;
  if (board_.any_died() && job_.rule == nullptr) give_back_what_was_lost(list);
  std::ranges::transform(board_.postponed(), job_.postponed, job_.postponed.begin(),
                         [](Postponed now, Postponed before) { return now == Postponed::Untouched ? before : now; });
  // Looked at here and now: a word given since the last look would be lost, and with it the reason why trials are missing.
  return !stop() && !notice->heard();
}

// A worker's last words are those of the trial that it has in hand when it dies: no news, and nothing that was said while
// another one had not ended.
WorkerPool::LastWords WorkerCrew::hear(int worker, const std::string& line) {
  const FrontDesk::Line what = job_.desk.tell_line(line);
  using enum FrontDesk::Line;
  if (what == News || what == End) died_idle_[static_cast<std::size_t>(worker)] = 0;
  if (what == End) return WorkerPool::LastWords::None;
  return what == Words ? WorkerPool::LastWords::These : WorkerPool::LastWords::AsBefore;
}

// It is not ended from here: a debugger may have stopped it, or somebody who wants the machine for a while.
void WorkerCrew::say_of_still(const StillWorkers::Change& change) {
  if (!change.still) return job_.desk.warn(fmt::format("worker process {} goes on", change.process));
  std::string in_hand;
  for (const SharedBoard::Entry& entry : board_.entries(change.worker)) {
    const std::int64_t at = entry.in_hand;
    if (at >= 0) in_hand += (in_hand.empty() ? "" : ", ") + job_.trials.name(static_cast<std::size_t>(at));
  }
  job_.desk.warn(fmt::format(
      "worker process {} has been stopped for {} s, with {} in hand, and is waited for: "
      "'kill -CONT {}' lets it go on, 'kill -9 {}' gives back what it has in hand",
      change.process, patience().count(), in_hand.empty() ? "no trial" : in_hand, change.process, change.process));
}

// In the worker's process.
void WorkerCrew::work(int worker, std::span<const std::size_t> list, InWorkElsewhere how) {
  const std::span<SharedBoard::Entry> entries = board_.entries(worker);
  try {
    train(worker, look_around(worker), list, how);
  } catch (const GpuDoesNotStart& error) {
    entries.front().note_no_gpu(error.what());
  }
  const bool through = std::ranges::any_of(entries, &SharedBoard::Entry::through);
  const bool no_gpu = std::ranges::any_of(entries, [](const auto& entry) { return entry.no_gpu.front() != 0; });
  if (no_gpu && !through) std::_Exit(static_cast<int>(ErrorKind::Unavailable));  // the board says why
}

WorkerCrew::Here WorkerCrew::look_around(int worker) const {
  const auto gpu = devices_.gpu_of("auto", worker);
  if (!gpu) return {devices_, worker};
  const GpuSurvey now = survey_gpus();
  const auto number = devices_.number_in(now, *gpu);
  if (!number) {
    throw GpuDoesNotStart(ErrorKind::Unavailable, fmt::format("GPU {} does not start: {} is not there any more", *gpu,
                                                              devices_.uuids[static_cast<std::size_t>(*gpu)]));
  }
  return {.devices = {.gpus = static_cast<int>(now.gpus.size()), .name = devices_.name, .problem = ""},
          .place = *number};
}

void WorkerCrew::train(int worker, const Here& here, std::span<const std::size_t> list, InWorkElsewhere how) {
  const TrialRunner::Job runner{.trials = job_.trials,
                                .options = job_.options,
                                .threads = job_.threads,
                                .devices = here.devices,
                                .place = here.place,
                                .sweep_text = job_.sweep_text,
                                .read_ahead = job_.read_ahead,
                                .files = job_.files,
                                .postponed = board_.postponed(),
                                .depths = job_.depths,
                                .settled = job_.settled,
                                .rule = job_.rule,
                                .any_died = &board_.any_died(),
                                .looked_after = true};
  TrialLanes lanes(
      {.runner = runner,
       .list = list,
       .how = how,
       .entries = board_.entries(worker),
       .links =
           [&] { return TrialLanes::Links{.tickets = tickets(), .notice = board_.notice(), .news = news_by_pipe()}; },
       .failed = [&](const std::exception& error) { note_failure(error); }});
  at_once_.most == 1 ? lanes.run_one() : lanes.run(at_once_, job_.step_costs);
}

// Of a lane of this worker.
void WorkerCrew::note_failure(const std::exception& error) {
  if (const auto* lost = dynamic_cast<const DeviceLost*>(&error)) {
    WorkerPool::end_worker(*lost);  // with all that it has in hand, and all its threads
  }
  // The others end too, and the run says why once.
  board_.report(kind_of(error), reason_of(error));
  board_.notice()->give();
}

// Published already when its process died?
bool WorkerCrew::is_settled(std::size_t at) {
  std::vector<std::string> problems;
  const std::string name = job_.trials.name(at);
  const Found found = find_result(job_.files, job_.options.out, name, problems);
  if (board_.postponed()[at] == Postponed::Ended) {
    const auto reason = found == Found::Nothing ? failure_reason(job_.files, job_.options.out, name) : std::nullopt;
    job_.desk.tell_if_untold(
        reason ? TrialNews{.at = at, .end = TrialEnd::Failed, .text = "failed: " + *reason}
               : TrialNews{.at = at, .end = TrialEnd::Elsewhere, .text = "ended, and then its process"});
    return true;
  }
  if (found != Found::Done && found != Found::Diverged) return false;
  const bool diverged = found == Found::Diverged;
  ++job_.tally[diverged ? Tally::Diverged : Tally::Trained];
  note(board_.postponed()[at], Postponed::Ended);
  job_.desk.tell_if_untold(
      {.at = at,
       .end = diverged ? TrialEnd::Diverged : TrialEnd::Trained,
       .text = diverged ? "diverged, and then its process ended" : "published, and then its process ended"});
  return true;
}

// One that was killed says nothing against its trial, unless it is killed again and again.
void WorkerCrew::lose(std::size_t at, const WorkerDeath& death) {
  std::string reason = "its process " + death.reason;
  if (death.signal != 0) {
    CheckpointFolder folder(job_.files, job_.options.out, job_.trials.name(at));
    if (!death.by_somebody()) folder.note_crash(folder.crashes() + 1, reason);
    const auto given_up = folder.given_up();
    if (!given_up) {
      const auto step = folder.newest_step();
      const std::string how = step ? fmt::format("go on from step {}", *step) : "begin again";
      note(board_.postponed()[at], Postponed::Suspect);
      job_.desk.give_back(at, fmt::format("given back, to {}: {}", how, reason), !death.by_somebody());
      return;
    }
    folder.forget_crashes();
    reason = *given_up;
  }
  record_failure(job_.files, job_.options.out, job_.trials[at], reason);
  ++job_.tally[Tally::Failed];
  note(board_.postponed()[at], Postponed::Ended);
  job_.desk.tell({.at = at, .end = TrialEnd::Failed, .text = "failed: " + reason});
}

// Whether another one is to be started in its place, which had no trial in hand.
bool WorkerCrew::lose_idle(const WorkerDeath& death) {
  const std::span<SharedBoard::Entry> entries = board_.entries(death.worker);
  const auto without = std::ranges::find_if(entries, [](const auto& entry) { return entry.no_gpu.front() != 0; });
  if (without != entries.end()) {
    if (const auto gpu = devices_.gpu_of("auto", death.worker)) job_.devices.lost.insert(*gpu);
    not_started_.emplace(ErrorKind::Unavailable, without->no_gpu.data());
    const bool others = workers_ > 1 || job_.devices.usable() > 0;
    if (others) job_.desk.warn(fmt::format("{}: its worker has ended", without->no_gpu.data()));
    return false;
  }
  board_.any_died() = true;
  constexpr int kTries = 3;
  const bool again = ++died_idle_[static_cast<std::size_t>(death.worker)] < kTries;
  if (!again) {
    not_started_.emplace(ErrorKind::Internal, fmt::format("workers end before they train anything: {}", death.reason));
  }
  job_.desk.warn(fmt::format("worker {}, with no trial in hand, {}", death.worker, death.reason));
  return again;
}

bool WorkerCrew::is_undone(std::span<const std::size_t> list) {
  return std::ranges::any_of(list, [&](std::size_t at) { return board_.postponed()[at] < Postponed::InWorkElsewhere; });
}

// Whether another one is to be started in its place.
bool WorkerCrew::lose(const WorkerDeath& death) {
  std::vector<std::size_t> in_hand;
  for (SharedBoard::Entry& entry : board_.entries(death.worker)) {
    if (const std::int64_t at = entry.in_hand.exchange(-1); at >= 0) in_hand.push_back(static_cast<std::size_t>(at));
  }
  if (in_hand.empty()) return lose_idle(death);
  board_.any_died() = true;
  for (SharedBoard::Entry& entry : board_.entries(death.worker)) entry.no_gpu = {};  // of some of its threads
  for (const std::size_t at : in_hand) job_.files.remove(Layout(job_.options.out).progress(job_.trials.name(at)));
  std::erase_if(in_hand, [this](std::size_t at) { return is_settled(at); });
  if (in_hand.size() == 1) {
    lose(in_hand.front(), death);
    return true;
  }
  for (const std::size_t at : in_hand) {
    note(board_.postponed()[at], Postponed::Suspect);
    job_.desk.give_back(at,
                        fmt::format("given back, to be trained alone: its process, with {} others, {}",
                                    in_hand.size() - 1, death.reason),
                        !death.by_somebody());
  }
  return true;
}

// A thread that had just drawn a trial when its process died had not noted it yet. Files do not tell: one of a failure may be
// an earlier run's. (Under a rule they do, by rungs; and one that left at its rung is as one that was drawn.)
void WorkerCrew::give_back_what_was_lost(std::span<const std::size_t> list) {
  for (const std::size_t at : list) {
    const Postponed what = board_.postponed()[at];
    if (what == Postponed::Untouched || what == Postponed::Taken) note(board_.postponed()[at], Postponed::Suspect);
  }
}

}  // namespace winnow
