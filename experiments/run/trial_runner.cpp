#include "experiments/run/trial_runner.h"

#include <optional>
#include <thread>

#include "distributed/agree.h"
#include "experiments/results/failure_file.h"
#include "experiments/results/progress_file.h"
#include "experiments/results/trial_file.h"
#include "experiments/run/run_trial.h"

namespace winnow {
namespace {

// How often a trial tells how far it is.
constexpr std::chrono::milliseconds kTellEvery{250};

// A rank of a group failed where the others wait for it, so the job ends; first the reason goes where the trial's user
// looks for it. All ranks may have failed alike: the leader speaks at once, and its word ends the others.
[[noreturn]] void give_up(const TrialSpec& spec, Communicator& group, Files& files, const std::filesystem::path& out,
                          const std::exception& error) {
  if (group.rank() != 0) std::this_thread::sleep_for(std::chrono::seconds(1));
  const std::string reason = fmt::format("rank {} of its {}: {}", group.rank(), group.size(), reason_of(error));
  try {
    record_failure(files, out, spec, reason);
  } catch (const std::exception&) {  // the first error is the one worth reporting
  }
  fail(kind_of(error), "{}  failed: {}", spec.name(), reason);
}

}  // namespace

void TrialRunner::run(Communicator& group, Tickets& tickets, std::span<const std::size_t> list, InWorkElsewhere how) {
  for (bool go_on = true; go_on;) {
    std::int64_t ticket = 0;
    if (group.rank() == 0) {
      ticket = job_.stop() ? static_cast<std::int64_t>(list.size()) : tickets.next();
    }
    group.broadcast(std::as_writable_bytes(std::span(&ticket, 1)), 0);
    if (ticket >= static_cast<std::int64_t>(list.size())) return;
    const std::size_t at = list[static_cast<std::size_t>(ticket)];
    if (job_.in_hand != nullptr) *job_.in_hand = static_cast<std::int64_t>(at);
    if (is_free(at, group, how)) go_on = train(at, group);
    if (job_.in_hand != nullptr) *job_.in_hand = -1;
  }
}

// Whether a trial is still to be trained: another run may work on the same directory.
bool TrialRunner::is_free(std::size_t at, Communicator& group, InWorkElsewhere how) {
  std::uint64_t free = 1;
  if (group.rank() == 0) {
    const TrialSpec& spec = job_.trials[at];
    std::vector<std::string> problems;
    if (const Found found = find_result(job_.files, job_.options.out, spec, problems); found != Found::Nothing) {
      free = 0;
      job_.news.tell(elsewhere(found, problems, {.at = at}));
    } else if (how == InWorkElsewhere::Postpone && is_in_work(job_.files, job_.options.out, spec)) {
      free = 0;
      job_.postponed[at] = 1;
    }
  }
  group.broadcast(std::as_writable_bytes(std::span(&free, 1)), 0);
  return free != 0;
}

TrialNews TrialRunner::elsewhere(Found found, std::span<const std::string> problems, TrialNews news) {
  news.end = TrialEnd::Elsewhere;
  if (found == Found::Unreadable || found == Found::Nothing) {
    ++job_.tally[Tally::ElsewhereUnreadable];
    news.text = found == Found::Nothing ? "not published: another file had its name and is gone again"
                                        : fmt::format("not published: {}", fmt::join(problems, "; "));
    return news;
  }
  ++job_.tally[found == Found::Diverged ? Tally::ElsewhereDiverged : Tally::Elsewhere];
  news.text = "already published by another run";
  return news;
}

// False: asked to stop.
bool TrialRunner::train(std::size_t at, Communicator& group) {
  const TrialSpec& spec = job_.trials[at];
  const bool leader = group.rank() == 0;
  RunTrialOptions run;
  run.threads = job_.threads;
  run.read_ahead = job_.read_ahead;
  run.sweep_text = job_.sweep_text;
  run.command_line = job_.options.command_line;
  run.stop_requested = [this] { return job_.stop(); };
  std::optional<ProgressFile> progress_file;
  TrialNews news{.at = at};
  const auto start = std::chrono::steady_clock::now();
  const auto since_start = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  if (leader) {
    progress_file.emplace(job_.files, job_.options.out, spec, group.size());
    job_.news.tell(news);
    run.progress = [&, told = start](const TrialProgress& p) mutable {
      news.progress.step = p.step;
      news.progress.steps = p.steps;
      news.progress.loss = p.train_loss;
      if (p.test_accuracy >= 0) news.progress.test_acc = p.test_accuracy;
      news.progress.images_per_second = p.images_per_second;
      progress_file->update(news.progress);
      const auto now = std::chrono::steady_clock::now();
      if (now - told < kTellEvery) return;
      told = now;
      news.seconds = since_start();
      job_.news.tell(news);
    };
  }
  TrialResult result;
  try {
    result = run_trial(spec, group, run);
  } catch (const std::exception& error) {
    const auto* known = dynamic_cast<const Error*>(&error);
    // On all ranks of the group at the same step.
    if (known != nullptr && known->kind() == ErrorKind::Stopped) return false;
    give_up(spec, group, job_.files, job_.options.out, error);
  }
  if (!leader) return true;
  news.seconds = since_start();
  job_.news.tell(settle(spec, result, std::move(news)));
  return true;
}

// Records how a trial of this group ended; what is to be said of it.
TrialNews TrialRunner::settle(const TrialSpec& spec, const TrialResult& result, TrialNews news) {
  if (result.outcome == Outcome::Failed) {
    record_failure(job_.files, job_.options.out, spec, result.reason);
    ++job_.tally[Tally::Failed];
    if (result.input_unreadable) ++job_.tally[Tally::Unreadable];
    news.end = TrialEnd::Failed;
    news.text = "failed: " + result.reason;
  } else if (publish(job_.files, job_.options.out, result) == Published::AlreadyThere) {
    std::vector<std::string> problems;
    const Found found = find_result(job_.files, job_.options.out, spec, problems);
    return elsewhere(found, problems, std::move(news));
  } else if (result.outcome == Outcome::Diverged) {
    ++job_.tally[Tally::Diverged];
    news.end = TrialEnd::Diverged;
    news.text = "diverged: " + result.reason;
  } else {
    ++job_.tally[Tally::Trained];
    news.end = TrialEnd::Trained;
    const auto accuracy = result.summary.find("final.test_acc");
    if (accuracy != result.summary.end()) news.progress.test_acc = accuracy->second;
    news.text = fmt::format("test {:.4f}  {:.1f} s", news.progress.test_acc.value_or(0), news.seconds);
  }
  return news;
}

}  // namespace winnow
