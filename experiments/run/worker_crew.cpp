#include "experiments/run/worker_crew.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "distributed/agree.h"
#include "experiments/results/failure_file.h"
#include "experiments/results/layout.h"
#include "experiments/run/room_on_gpu.h"
#include "experiments/run/run_trial.h"
#include "experiments/run/stop_request.h"
#include "experiments/run/worker_lanes.h"

namespace winnow {

bool WorkerCrew::run(std::span<const std::size_t> list, InWorkElsewhere how) {
  const auto notice = board_.notice();
  StopRequest stop(*notice);
  WorkerPool pool({.work = [&](int worker) { work(worker, list, how); },
                   .say = [&](const std::string& line) { return hear(line); },
                   .died =
                       [&](const WorkerDeath& death) {
                         lose(death);
                         return !stop();
                       },
                   .tick =
                       [&] {
                         stop();
                         job_.desk.listen();
                       }});
  pool.run(workers_);
  for (const SharedBoard::Entry& entry : board_.entries()) job_.tally += entry.tally;
  if (any_died_) give_back_what_was_lost(list);
  std::ranges::transform(board_.postponed(), job_.postponed, job_.postponed.begin(),
                         [](Postponed now, Postponed before) { return std::max(now, before); });
  if (const auto error = board_.reported()) throw *error;
  // Looked at here and now: a word given since the last look would be lost, and with it the reason why trials are missing.
  return !stop() && !notice->heard();
}

// A worker's last words are those of the trial that it has in hand when it dies: no news, and nothing that was said while
// another one had not ended.
WorkerPool::LastWords WorkerCrew::hear(const std::string& line) {
  const FrontDesk::Line what = job_.desk.tell_line(line);
  if (what == FrontDesk::Line::End) return WorkerPool::LastWords::None;
  return what == FrontDesk::Line::Words ? WorkerPool::LastWords::These : WorkerPool::LastWords::AsBefore;
}

// In the worker's process.
void WorkerCrew::work(int worker, std::span<const std::size_t> list, InWorkElsewhere how) {
  if (at_once_.most == 1) return train(worker, 0, list, how, nullptr, nullptr);
  GpuShare share;
  LaneMeter meter(job_.step_costs);
  RoomOnGpu room(job_.trials, job_.devices.gpu_of("auto", worker), board_.entries(worker));
  WorkerLanes({.train = [&](int lane) { train(worker, lane, list, how, &share, &meter); },
               .most = at_once_.most,
               .all_at_once = at_once_.from_the_start,
               .meter = meter,
               .room = [&] { return room.now(); }})
      .run();
}

// The part of one thread.
void WorkerCrew::train(int worker, int lane, std::span<const std::size_t> list, InWorkElsewhere how, GpuShare* share,
                       LaneMeter* meter) {
  const auto self = make_self();
  const auto tickets = this->tickets();
  const auto notice = board_.notice();
  const auto news = news_by_pipe();
  StopRequest stop(*notice);
  SharedBoard::Entry& entry = board_.entries(worker)[static_cast<std::size_t>(lane)];
  std::optional<GpuShare::Seat> seat;
  try {
    if (share != nullptr) {
      seat.emplace(*share, GpuShare::Seat::Hooks{.give_back = release_gpu_memory, .look = [&stop] { return !stop(); }});
    }
    TrialRunner({.trials = job_.trials,
                 .options = job_.options,
                 .threads = job_.threads,
                 .devices = job_.devices,
                 .place = worker,
                 .sweep_text = job_.sweep_text,
                 .read_ahead = job_.read_ahead,
                 .files = job_.files,
                 .news = *news,
                 .stop = stop,
                 .tally = entry.tally,
                 .postponed = board_.postponed(),
                 .depths = job_.depths,
                 .settled = job_.settled,
                 .in_hand = &entry.in_hand,
                 .seat = seat ? &*seat : nullptr,
                 .meter = meter})
        .run(*self, *tickets, list, how);
  } catch (const DeviceLost& error) {
    WorkerPool::end_worker(error);  // with all that it has in hand, and all its threads
  } catch (const std::exception& error) {
    // The others end too, and the run says why once.
    board_.report(kind_of(error), reason_of(error));
    notice->give();
  }
}

// Published already when its process died?
bool WorkerCrew::is_settled(std::size_t at) {
  if (board_.postponed()[at] == Postponed::Ended) return true;
  std::vector<std::string> problems;
  const Found found = find_result(job_.files, job_.options.out, job_.trials.name(at), problems);
  if (found != Found::Done && found != Found::Diverged) return false;
  ++job_.tally[found == Found::Diverged ? Tally::Diverged : Tally::Trained];
  note(board_.postponed()[at], Postponed::Ended);
  return true;
}

void WorkerCrew::lose(const WorkerDeath& death) {
  any_died_ = true;
  std::vector<std::size_t> in_hand;
  for (SharedBoard::Entry& entry : board_.entries(death.worker)) {
    if (const std::int64_t at = entry.in_hand.exchange(-1); at >= 0) in_hand.push_back(static_cast<std::size_t>(at));
  }
  if (in_hand.empty()) {
    if (++died_idle_ == 3) fail(ErrorKind::Internal, "workers end before they train anything: {}", death.reason);
    return;
  }
  for (const std::size_t at : in_hand) job_.files.remove(Layout(job_.options.out).progress(job_.trials.name(at)));
  std::erase_if(in_hand, [this](std::size_t at) { return is_settled(at); });
  if (in_hand.size() == 1) {
    const std::string reason = "its process " + death.reason;
    record_failure(job_.files, job_.options.out, job_.trials[in_hand.front()], reason);
    ++job_.tally[Tally::Failed];
    note(board_.postponed()[in_hand.front()], Postponed::Ended);
    job_.desk.tell({.at = in_hand.front(), .end = TrialEnd::Failed, .text = "failed: " + reason});
    return;
  }
  for (const std::size_t at : in_hand) {
    note(board_.postponed()[at], Postponed::Suspect);
    job_.desk.give_back(at, fmt::format("given back, to be trained alone: its process, with {} others, {}",
                                        in_hand.size() - 1, death.reason));
  }
}

// A thread that had just drawn a trial when its process died had not noted it yet. Files do not tell: one of a failure may be
// an earlier run's.
void WorkerCrew::give_back_what_was_lost(std::span<const std::size_t> list) {
  for (const std::size_t at : list) {
    const Postponed what = board_.postponed()[at];
    if (what == Postponed::Untouched || what == Postponed::Taken) note(board_.postponed()[at], Postponed::Suspect);
  }
}

}  // namespace winnow
