#include "experiments/run/worker_crew.h"

#include <algorithm>
#include <utility>

#include "distributed/agree.h"
#include "experiments/results/failure_file.h"
#include "experiments/results/layout.h"
#include "experiments/run/run_trial.h"
#include "experiments/run/stop_request.h"

namespace winnow {

bool WorkerCrew::run(std::span<const std::size_t> list, InWorkElsewhere how) {
  const auto notice = board_.notice();
  StopRequest stop(*notice);
  WorkerPool pool({.work = [&](int worker) { work(worker, list, how); },
                   .say = [&](const std::string& line) { job_.desk.tell_line(line); },
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
  for (int worker = 0; worker < workers_; ++worker) job_.tally += board_.entry(worker).tally;
  std::ranges::transform(board_.postponed(), job_.postponed, job_.postponed.begin(),
                         [](Postponed now, Postponed before) { return std::max(now, before); });
  if (const auto error = board_.reported()) throw *error;
  // Looked at here and now: a word given since the last look would be lost, and with it the reason why trials are missing.
  return !stop() && !notice->heard();
}

// In the worker's process.
void WorkerCrew::work(int worker, std::span<const std::size_t> list, InWorkElsewhere how) {
  const auto self = make_self();
  const auto tickets = board_.tickets();
  const auto notice = board_.notice();
  const auto news = news_by_pipe();
  StopRequest stop(*notice);
  SharedBoard::Entry& entry = board_.entry(worker);
  try {
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
                 .in_hand = &entry.in_hand})
        .run(*self, *tickets, list, how);
  } catch (const DeviceLost&) {
    throw;  // out of this process, which ends with its trial
  } catch (const std::exception& error) {
    // The others end too, and the run says why once.
    board_.report(kind_of(error), reason_of(error));
    notice->give();
  }
}

void WorkerCrew::lose(const WorkerDeath& death) {
  const std::int64_t in_hand = std::exchange(board_.entry(death.worker).in_hand, -1);
  if (in_hand < 0) {
    if (++died_idle_ == 3) fail(ErrorKind::Internal, "workers end before they train anything: {}", death.reason);
    return;
  }
  const auto at = static_cast<std::size_t>(in_hand);
  const TrialSpec spec = job_.trials[at];
  job_.files.remove(Layout(job_.options.out).progress(spec.name()));
  // It may have died when the result was published already.
  std::vector<std::string> problems;
  const Found found = find_result(job_.files, job_.options.out, spec.name(), problems);
  if (found == Found::Done || found == Found::Diverged) {
    ++job_.tally[found == Found::Diverged ? Tally::Diverged : Tally::Trained];
    return;
  }
  record_failure(job_.files, job_.options.out, spec, "its process " + death.reason);
  ++job_.tally[Tally::Failed];
  job_.desk.tell({.at = at, .end = TrialEnd::Failed, .text = "failed: its process " + death.reason});
}

}  // namespace winnow
