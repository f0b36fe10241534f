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

std::string label(const TrialSpec& spec) {
  std::string text = spec.settings.text("data.name") + " " + spec.settings.text("model.name") + " " +
                     spec.settings.text("method.name");
  if (spec.settings.has("method.density")) text += " " + spec.settings.text("method.density");
  return text;
}

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
    const TrialSpec& spec = job_.trials[at];
    const std::string head = fmt::format("[{}/{}] {} {}", ticket + 1, list.size(), spec.name(), label(spec));
    if (job_.in_hand != nullptr) *job_.in_hand = static_cast<std::int64_t>(at);
    if (is_free(at, group, head, how)) go_on = train(at, group, head);
    if (job_.in_hand != nullptr) *job_.in_hand = -1;
  }
}

// Whether a trial is still to be trained: another run may work on the same directory.
bool TrialRunner::is_free(std::size_t at, Communicator& group, const std::string& head, InWorkElsewhere how) {
  std::uint64_t free = 1;
  if (group.rank() == 0) {
    const TrialSpec& spec = job_.trials[at];
    if (const Found found = find_result(job_.files, job_.options.out, spec); found != Found::Nothing) {
      free = 0;
      count_elsewhere(found, head);
    } else if (how == InWorkElsewhere::Postpone && is_in_work(job_.files, job_.options.out, spec)) {
      free = 0;
      job_.postponed[at] = 1;
    }
  }
  group.broadcast(std::as_writable_bytes(std::span(&free, 1)), 0);
  return free != 0;
}

void TrialRunner::count_elsewhere(Found found, const std::string& head) {
  ++job_.tally[found == Found::Diverged ? Tally::ElsewhereDiverged : Tally::Elsewhere];
  job_.console.line(head + "  already published by another run");
}

// False: asked to stop.
bool TrialRunner::train(std::size_t at, Communicator& group, const std::string& head) {
  const TrialSpec& spec = job_.trials[at];
  const bool leader = group.rank() == 0;
  RunTrialOptions run;
  run.threads = job_.threads;
  run.read_ahead = job_.read_ahead;
  run.command_line = job_.options.command_line;
  run.stop_requested = [this] { return job_.stop(); };
  std::optional<ProgressFile> progress_file;
  const auto start = std::chrono::steady_clock::now();
  if (leader) {
    progress_file.emplace(job_.files, job_.options.out, spec, group.size());
    run.progress = [&](const TrialProgress& p) {
      Progress row;
      row.step = p.step;
      row.steps = p.steps;
      row.loss = p.train_loss;
      if (p.test_accuracy >= 0) row.test_acc = p.test_accuracy;
      row.images_per_second = p.images_per_second;
      progress_file->update(row);
      job_.console.live(fmt::format("{}  step {}/{}  loss {:.4f}{}", head, p.step, p.steps, p.train_loss,
                                    p.test_accuracy >= 0 ? fmt::format("  test {:.4f}", p.test_accuracy) : ""));
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
  if (leader) settle(spec, result, head, start);
  return true;
}

// Records how a trial of this group ended and says so.
void TrialRunner::settle(const TrialSpec& spec, const TrialResult& result, const std::string& head,
                         std::chrono::steady_clock::time_point start) {
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (result.outcome == Outcome::Failed) {
    record_failure(job_.files, job_.options.out, spec, result.reason);
    ++job_.tally[Tally::Failed];
    if (result.input_unreadable) ++job_.tally[Tally::Unreadable];
    job_.console.line(fmt::format("{}  failed: {}", head, result.reason));
    return;
  }
  if (publish(job_.files, job_.options.out, result) == Published::AlreadyThere) {
    count_elsewhere(find_result(job_.files, job_.options.out, spec), head);
  } else if (result.outcome == Outcome::Diverged) {
    ++job_.tally[Tally::Diverged];
    job_.console.line(fmt::format("{}  diverged: {}", head, result.reason));
  } else {
    ++job_.tally[Tally::Trained];
    const auto accuracy = result.summary.find("final.test_acc");
    job_.console.line(fmt::format("{}  test {:.4f}  {:.1f} s", head,
                                  accuracy == result.summary.end() ? 0.0 : accuracy->second, seconds));
  }
}

}  // namespace winnow
