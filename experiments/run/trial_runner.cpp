#include "experiments/run/trial_runner.h"

#include <optional>
#include <thread>

#include "core/clock.h"
#include "distributed/agree.h"
#include "experiments/results/checkpoint_file.h"
#include "experiments/results/failure_file.h"
#include "experiments/results/layout.h"
#include "experiments/results/progress_file.h"
#include "experiments/results/trial_file.h"
#include "experiments/run/crash_watch.h"
#include "experiments/run/needed_trial.h"
#include "experiments/run/run_trial.h"
#include "experiments/run/rung_draw.h"

namespace winnow {
namespace {

// How often a trial tells how far it is.
constexpr double kTellEvery = 0.25;  // s
// How often a group without other work looks whether what its trials need is done.
constexpr std::chrono::milliseconds kLookEvery{100};

// A leader's word to its group in place of the position of a trial.
constexpr std::int64_t kOver = -1, kWait = -2;

// A trial that is being trained, as the meter sees it.
class MeteredTrial {
 public:
  MeteredTrial(LaneMeter& meter, std::size_t at) : meter_(meter), at_(at) { meter_.began(); }
  ~MeteredTrial() { meter_.ended(); }
  MeteredTrial(const MeteredTrial&) = delete;
  MeteredTrial& operator=(const MeteredTrial&) = delete;
  void is_at(std::int64_t step) {
    if (step > step_) meter_.stepped(at_, step - step_);  // it may have begun again
    step_ = step;
  }

 private:
  LaneMeter& meter_;
  std::size_t at_;
  std::int64_t step_ = 0;
};

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
  if (const auto gpu = job_.devices.gpu_of("auto", job_.place)) open_gpu(*gpu);
  const std::unique_ptr<Draw> draw = make_draw(group, tickets, list);
  try {
    draw_and_train(*draw, group, how);
  } catch (const RanksLost& error) {
    // Of a trial of this rank alone no rank is gone.
    if (last_ && group.size() > 1) note_crash(*last_, error);
    throw;
  }
}

std::unique_ptr<Draw> TrialRunner::make_draw(Communicator& group, Tickets& tickets, std::span<const std::size_t> list) {
  const TrialDraw::Job job{.trials = job_.trials,
                           .files = job_.files,
                           .out = job_.options.out,
                           .postponed = job_.postponed,
                           .depths = job_.depths,
                           .settled = job_.settled,
                           .any_died = job_.any_died};
  if (job_.rule == nullptr || group.rank() != 0) return std::make_unique<TrialDraw>(job, list, tickets);
  board_.emplace(job_.files, job_.options.out, *job_.rule, job_.trials);
  return std::make_unique<RungDraw>(job, *board_, list, tickets);
}

void TrialRunner::draw_and_train(Draw& draw, Communicator& group, InWorkElsewhere how) {
  for (bool go_on = true; go_on;) {
    if (own_.seat != nullptr) own_.seat->before_trial();
    const bool stop = own_.stop();      // on every rank, so that a word to stop is passed on at once
    std::int64_t words[] = {kOver, 0};  // the trial, and the epoch after which it is left; 0: none
    auto& [word, until] = words;
    if (group.rank() == 0 && !stop) {
      const auto next = draw.next();
      tell_decisions();
      word = next ? static_cast<std::int64_t>(*next) : draw.over() ? kOver : kWait;
      if (next && board_) until = board_->target(*next).value_or(0);
    }
    group.broadcast(std::as_writable_bytes(std::span(words)), 0);
    if (word == kOver) return;
    if (word == kWait) {  // all ranks look up again and again: none waits in a collective for another group's trial
      if (own_.seat != nullptr) own_.seat->settled();
      own_.news.listen();
      std::this_thread::sleep_for(kLookEvery);
      continue;
    }
    const auto at = static_cast<std::size_t>(word);
    take_in_hand(word);
    last_ = at;
    const TrialSpec spec = job_.trials[at];
    if (is_free(at, spec, group, how) && !is_given_up(at, spec, group)) {
      trains_ = true;
      go_on = train(at, spec, group, until);
      trains_ = false;
    }
    take_in_hand(-1);
    if (own_.seat != nullptr) own_.seat->settled();
  }
}

void TrialRunner::tell_decisions() {
  if (!board_) return;
  for (const RungDecision& decision : board_->decisions()) {
    own_.news.tell({.at = decision.trial, .decision = decision});
  }
}

void TrialRunner::take_in_hand(std::int64_t at) {
  if (own_.in_hand != nullptr) *own_.in_hand = at;
}

// If this process dies from here on, the trial is settled.
void TrialRunner::end(const TrialNews& news) {
  note(job_.postponed[news.at], Postponed::Ended);
  own_.news.tell(news);  // in hand until then: if this process dies before, others see that it has not
  take_in_hand(-1);
}

bool TrialRunner::wait_for_room(const std::function<void()>& meanwhile) const {
  if (own_.seat == nullptr) return false;
  if (own_.seat->wait_for_room(meanwhile)) return true;
  if (own_.stop()) fail(ErrorKind::Stopped, "stopped on request");
  return false;
}

// Whether a trial is still to be trained: another run may work on the same directory.
bool TrialRunner::is_free(std::size_t at, const TrialSpec& spec, Communicator& group, InWorkElsewhere how) {
  std::uint64_t free = group.rank() == 0 && leader_finds_free(at, spec, how) ? 1 : 0;
  group.broadcast(std::as_writable_bytes(std::span(&free, 1)), 0);
  return free != 0;
}

// Processes that died with this trial in hand, run after run, would do so for ever. A run's own workers: see WorkerCrew.
bool TrialRunner::is_given_up(std::size_t at, const TrialSpec& spec, Communicator& group) {
  if (job_.looked_after) return false;
  std::uint64_t word[] = {0, 0, 0};  // crashes so far; the step that is saved; given up
  if (group.rank() == 0) {
    CheckpointFolder folder(job_.files, job_.options.out, spec.name());
    word[0] = folder.crashes();
    word[1] = static_cast<std::uint64_t>(folder.newest_step().value_or(0));
    if (const auto reason = word[0] > 0 ? folder.given_up() : std::nullopt) {
      TrialResult result;
      result.outcome = Outcome::Failed;
      result.reason = *reason;
      end(settle(spec, result, {.at = at}));
      folder.forget_crashes();
      word[2] = 1;
    }
  }
  group.broadcast(std::as_writable_bytes(std::span(word)), 0);
  crashes_ = word[0];
  saved_ = word[1];
  return word[2] != 0;
}

// The process of a rank of this trial has ended, and this one lives: whoever ends a job ends all. Or one did not come to what the
// trial does: if that is so again and again, it is the trial's doing.
void TrialRunner::note_crash(std::size_t at, const RanksLost& error) {
  if (error.why() == RanksLost::Why::Other || (error.why() == RanksLost::Why::Late && !trains_)) return;
  try {
    const std::string name = job_.trials.name(at);
    if (job_.files.exists(Layout(job_.options.out).trial(name))) return;
    CheckpointFolder(job_.files, job_.options.out, name).note_crash(crashes_ + 1, error.what());
  } catch (const std::exception&) {  // this process ends anyway, with its first error
  }
}

// A fault shows in all streams of the GPU, and nobody knows by which of several trials.
void TrialRunner::note_lost_device(const std::string& name, const std::exception& error) {
  try {
    CheckpointFolder(job_.files, job_.options.out, name).note_crash(crashes_ + 1, reason_of(error), CrashOf::Several);
  } catch (const std::exception&) {  // this process ends anyway, with its first error
  }
}

bool TrialRunner::leader_finds_free(std::size_t at, const TrialSpec& spec, InWorkElsewhere how) {
  std::vector<std::string> problems;
  if (const Found found = find_result(job_.files, job_.options.out, spec.name(), problems); found != Found::Nothing) {
    if (board_) board_->finished(at);
    end(elsewhere(found, problems, {.at = at}));
    return false;
  }
  if (const auto reason = missing_need(job_.files, job_.options.out, spec)) {
    TrialResult result;
    result.outcome = Outcome::Failed;
    result.reason = *reason;
    end(settle(spec, result, {.at = at}));
    return false;
  }
  // Whoever ended a process before is alone in it the next time, so that it is known who ends that.
  if (own_.seat != nullptr && CheckpointFolder(job_.files, job_.options.out, spec.name()).crashes() > 0) {
    note(job_.postponed[at], Postponed::Suspect);
    return false;
  }
  if (how == InWorkElsewhere::Postpone && is_in_work(job_.files, job_.options.out, spec.name())) {
    note(job_.postponed[at], Postponed::InWorkElsewhere);
    return false;
  }
  return true;
}

TrialNews TrialRunner::elsewhere(Found found, std::span<const std::string> problems, TrialNews news) {
  news.end = TrialEnd::Elsewhere;
  if (found == Found::Unreadable || found == Found::Nothing) {
    ++own_.tally[Tally::ElsewhereUnreadable];
    news.text = found == Found::Nothing ? "not published: another file had its name and is gone again"
                                        : fmt::format("not published: {}", fmt::join(problems, "; "));
    return news;
  }
  ++own_.tally[found == Found::Diverged ? Tally::ElsewhereDiverged : Tally::Elsewhere];
  news.text = "already published by another run";
  return news;
}

// False: nothing more for this group: asked to stop, or its GPUs are unfit.
bool TrialRunner::train(std::size_t at, const TrialSpec& spec, Communicator& group, std::int64_t until) {
  const bool leader = group.rank() == 0;
  RunTrialOptions run;
  run.threads = job_.threads;
  run.gpu = job_.devices.gpu_of(spec, job_.place);
  run.devices = &devices_;
  run.read_ahead = job_.read_ahead;
  run.sweep_text = job_.sweep_text;
  run.command_line = job_.options.command_line;
  run.stop_requested = [this] { return own_.stop(); };
  if (until > 0) run.leave_after = until;
  run.needed = [this](const TrialNeed& need) { return load_needed(job_.files, job_.options.out, need); };
  std::optional<ProgressFile> progress_file;
  TrialNews news{.at = at};
  std::optional<MeteredTrial> metered;
  run.wait_for_room = [&] {
    metered.reset();
    return wait_for_room([&] {
      if (progress_file) progress_file->update(news.progress);
    });
  };
  const double start = seconds_now();
  const auto tell = [&] {
    news.seconds = seconds_now() - start;
    own_.news.tell(news);
    news.text.clear();
    news.saved.reset();
    news.epoch.reset();
  };
  std::optional<CrashWatch> watch;
  if (!job_.looked_after) {
    const CheckpointFolder folder(job_.files, job_.options.out, spec.name());
    watch.emplace(folder.crash_path(crashes_ + 1), static_cast<std::int64_t>(saved_), job_.crash_mark,
                  own_.seat == nullptr ? CrashOf::One : CrashOf::Several);
  }
  const CheckpointPlace checkpoints{job_.files, job_.options.out,
                                    [&](const std::string& line) {
                                      news.text = line;
                                      tell();
                                    },
                                    [&](std::int64_t step) {
                                      if (watch) watch->saved(step);
                                      if (!leader) return;
                                      news.saved = step;
                                      tell();
                                    }};
  run.checkpoints = &checkpoints;
  // Not at its first step: probes before that may take long, and no memory of the GPU.
  run.memory_taken = [this] {
    if (own_.seat != nullptr) own_.seat->settled();
  };
  if (leader) {
    progress_file.emplace(job_.files, job_.options.out, spec, group.size());
    tell();
    run.progress = [&, told = start, epoch = 0.0](const TrialProgress& p) mutable {
      if (own_.meter != nullptr && !metered) metered.emplace(*own_.meter, at);
      if (metered) metered->is_at(p.step);
      // Not of a probe before its first step.
      if (news.progress.step == 0 && p.step > 0) news.progress.from = p.step - 1;
      news.progress.step = p.step;
      news.progress.steps = p.steps;
      news.progress.loss = p.train_loss;
      if (p.test_accuracy >= 0) news.progress.test_acc = p.test_accuracy;
      news.progress.images_per_second = p.images_per_second;
      progress_file->update(news.progress);
      const double now = seconds_now();
      if (p.epoch == epoch && now - told < kTellEvery) return;
      told = now;
      if (p.epoch != epoch) news.epoch = epoch = p.epoch;
      tell();
    };
  }
  TrialResult result;
  try {
    result = run_trial(spec, group, run);
  } catch (const RanksLost&) {
    throw;
  } catch (const UnfitDevices& error) {  // on all ranks of the group
    refused_ = true;
    result.outcome = Outcome::Failed;
    result.reason = error.what();
    if (leader) ++own_.tally[Tally::Refused];
  } catch (const std::exception& error) {
    const auto* known = dynamic_cast<const Error*>(&error);
    // On all ranks of the group at the same step.
    if (known != nullptr && known->kind() == ErrorKind::Stopped) return false;
    if (dynamic_cast<const DeviceLost*>(&error) != nullptr) {
      // The trial of a worker fails with its process, and another process goes on with the others.
      if (job_.looked_after) throw;
      if (own_.seat != nullptr) {
        note_lost_device(spec.name(), error);
        throw;
      }
    }
    give_up(spec, group, job_.files, job_.options.out, error);
  }
  metered.reset();
  if (!leader) return !refused_;
  news.seconds = seconds_now() - start;
  if (result.outcome == Outcome::Stopped) {
    progress_file.reset();  // before others see that it came to its rung, and may take it up
    leave(result, std::move(news));
  } else {
    end(settle(spec, result, std::move(news)));
  }
  return !refused_;
}

// It has been saved. What is known of it is on disk before others are told that it has come so far.
void TrialRunner::leave(TrialResult& result, TrialNews news) {
  result.reason = job_.rule->text();
  publish_stopped(job_.files, job_.options.out, result);
  if (const std::string name = result.spec.name(); job_.files.exists(Layout(job_.options.out).trial(name))) {
    forget_stopped(job_.files, job_.options.out, name);  // another run has brought it to its end
    clear_checkpoints(job_.files, job_.options.out, name);
  }
  board_->arrived(news.at, result.epochs);
  take_in_hand(-1);
  news.end = TrialEnd::Left;
  news.text = fmt::format("left after {} ep  {:.1f} s", result.summary.at("stopped.epoch"), news.seconds);
  own_.news.tell(news);
}

// Records how a trial of this group ended; what is to be said of it.
TrialNews TrialRunner::settle(const TrialSpec& spec, const TrialResult& result, TrialNews news) {
  if (result.outcome == Outcome::Failed) {
    record_failure(job_.files, job_.options.out, spec, result.reason);
    if (board_) board_->failed(news.at);
    ++own_.tally[Tally::Failed];
    if (result.input_unreadable) ++own_.tally[Tally::Unreadable];
    news.end = TrialEnd::Failed;
    news.text = "failed: " + result.reason;
    return news;
  }
  const Published published = publish(job_.files, job_.options.out, result);
  clear_checkpoints(job_.files, job_.options.out, spec.name());
  if (published == Published::AlreadyThere) {
    std::vector<std::string> problems;
    const Found found = find_result(job_.files, job_.options.out, spec.name(), problems);
    return elsewhere(found, problems, std::move(news));
  }
  if (board_ && result.outcome == Outcome::Done) board_->finished(news.at, result.epochs);
  if (result.outcome == Outcome::Diverged) {
    if (board_) board_->failed(news.at);
    ++own_.tally[Tally::Diverged];
    news.end = TrialEnd::Diverged;
    news.text = "diverged: " + result.reason;
  } else {
    ++own_.tally[Tally::Trained];
    news.end = TrialEnd::Trained;
    const auto accuracy = result.summary.find("final.test_acc");
    if (accuracy != result.summary.end()) news.progress.test_acc = accuracy->second;
    news.text = fmt::format("test {:.4f}  {:.1f} s", news.progress.test_acc.value_or(0), news.seconds);
  }
  return news;
}

}  // namespace winnow
