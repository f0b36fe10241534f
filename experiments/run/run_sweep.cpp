#include "experiments/run/run_sweep.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <iostream>
#include <map>
#include <numeric>
#include <set>

#include "core/error.h"
#include "distributed/communicator.h"
#include "experiments/data/missing_data.h"
#include "experiments/results/failure_file.h"
#include "experiments/results/layout.h"
#include "experiments/results/plan_file.h"
#include "experiments/results/progress_file.h"
#include "experiments/results/trial_file.h"
#include "experiments/run/console.h"
#include "experiments/run/cores.h"
#include "experiments/run/estimate.h"
#include "experiments/run/run_trial.h"
#include "experiments/run/sweep_state.h"

namespace winnow {
namespace {

// Set by the signal handler and by nothing else; the training loop looks at it between steps.
std::atomic<bool> stop_flag{false};

extern "C" void request_stop(int) { stop_flag.store(true); }

void catch_stop_signals() {
  struct sigaction action = {};
  action.sa_handler = request_stop;
  for (const int signal : {SIGTERM, SIGUSR2}) sigaction(signal, &action, nullptr);
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // a second Ctrl-C ends at once
  sigaction(SIGINT, &action, nullptr);
}

std::string label(const TrialSpec& spec) {
  std::string text = spec.settings.text("data.name") + " " + spec.settings.text("model.name") + " " +
                     spec.settings.text("method.name");
  if (spec.settings.has("method.density")) text += " " + spec.settings.text("method.density");
  return text;
}

class SweepRunner {
 public:
  SweepRunner(const Sweep& sweep, const RunOptions& options, Communicator& world)
      : options_(options),
        world_(world),
        console_(options.quiet, world.rank() == 0),
        threads_(options.threads > 0 ? options.threads : cores_of_rank(world)),
        trials_(sweep.trials),
        sweep_text_(sweep.text),
        postponed_(sweep.trials.size()) {}

  int run() {
    prepare();
    if (world_.rank() == 0) announce();
    std::map<int, std::vector<std::size_t>, std::greater<>> by_ranks;
    for (std::size_t i = 0; i < trials_.size(); ++i) {
      if (found_[i] == Found::Nothing) by_ranks[trials_[i].ranks].push_back(i);
    }
    for (const auto& [ranks, list] : by_ranks) {
      // What another run has in work comes last: two runs on one directory share it.
      run_round(ranks, list, InWorkElsewhere::Postpone);
      run_round(ranks, take_postponed(), InWorkElsewhere::Train);
    }
    world_.all_reduce_sum(std::span<double>(tally_.counts));
    if (tally_[Tally::Stopped] > 0) {
      if (world_.rank() == 0) console_.line("stopped on request; the same command goes on with what is missing");
      return static_cast<int>(ErrorKind::Stopped);
    }
    if (world_.rank() == 0) console_.line(summary(found_, tally_));
    if (any_unreadable(found_, tally_)) return static_cast<int>(ErrorKind::Input);
    return options_.strict && !all_well(found_, tally_) ? 3 : 0;
  }

 private:
  void announce() {
    std::set<int> widths;
    std::size_t left = 0;
    for (std::size_t i = 0; i < trials_.size(); ++i) {
      if (found_[i] != Found::Nothing) continue;
      widths.insert(trials_[i].ranks);
      ++left;
    }
    if (left == 0) return;
    console_.line(fmt::format("{} of {} trials to train on {} rank{}, {} thread{} each", left, trials_.size(),
                              world_.size(), world_.size() == 1 ? "" : "s", threads_, threads_ == 1 ? "" : "s"));
    for (const int ranks : widths) {
      const int idle = world_.size() % ranks;
      if (idle == 0) continue;
      console_.line(fmt::format("{} of {} ranks will be idle: a trial takes {}", idle, world_.size(), ranks));
    }
  }

  // Rank 0 looks at the disk, so that all ranks agree on what is missing; it also says what is
  // wrong before any training.
  void prepare() {
    for (const TrialSpec& trial : trials_) {
      if (trial.ranks > world_.size()) {
        fail(ErrorKind::Site,
             "a trial needs {} ranks, this job has {}: start it with mpirun -n {} or set ranks "
             "lower",
             trial.ranks, world_.size(), trial.ranks);
      }
    }
    found_.assign(trials_.size(), Found::Nothing);
    if (world_.rank() == 0) {
      files_.check_publishing(options_.out);
      clear_leftovers(files_, options_.out);
      std::vector<PlannedTrial> plan;
      for (const TrialSpec& trial : trials_) plan.push_back(planned(trial));
      write_plan(files_, options_.out, plan);
      archive_sweep(files_, options_.out, sweep_text_);
      std::vector<std::string> problems;
      found_ = find_results(files_, options_.out, trials_, options_.retry_failed, problems);
      for (const std::string& problem : problems) warn(problem);
      find_data();
    }
    world_.broadcast(std::as_writable_bytes(std::span(found_)), 0);
  }

  void find_data() {
    std::vector<const TrialSpec*> missing;
    for (std::size_t i = 0; i < trials_.size(); ++i) {
      if (found_[i] == Found::Nothing) missing.push_back(&trials_[i]);
    }
    const std::vector<std::string> problems = missing_data(missing);
    if (!problems.empty()) fail(ErrorKind::Input, "{}", fmt::join(problems, "\n"));
  }

  enum class InWorkElsewhere { Postpone, Train };

  // The trials that any rank postponed; the same list on all of them.
  std::vector<std::size_t> take_postponed() {
    world_.all_reduce_max(std::span(postponed_));
    std::vector<std::size_t> list;
    for (std::size_t i = 0; i < trials_.size(); ++i) {
      if (std::exchange(postponed_[i], 0) != 0) list.push_back(i);
    }
    return list;
  }

  void run_round(int ranks, std::vector<std::size_t> list, InWorkElsewhere how) {
    if (list.empty()) return;
    std::vector<double> cost(trials_.size());
    for (const std::size_t at : list) cost[at] = estimate(trials_[at]).seconds;
    std::stable_sort(list.begin(), list.end(), [&](auto a, auto b) { return cost[a] > cost[b]; });
    const int groups = world_.size() / ranks, mine = world_.rank() / ranks;
    auto group = world_.split(mine, world_.rank());
    const auto tickets = make_tickets(world_);
    while (mine < groups) {  // ranks left over after the last whole group have nothing to do in this round
      std::int64_t ticket = group->rank() == 0 ? tickets->next() : 0;
      group->broadcast(std::as_writable_bytes(std::span(&ticket, 1)), 0);
      if (ticket >= static_cast<std::int64_t>(list.size())) break;
      const std::size_t at = list[static_cast<std::size_t>(ticket)];
      const std::string head =
          fmt::format("[{}/{}] {} {}", ticket + 1, list.size(), trials_[at].name(), label(trials_[at]));
      if (is_free(at, *group, head, how) && !run_one(trials_[at], *group, head)) break;
    }
    world_.barrier();
  }

  // Whether a trial is still to be trained: another run may work on the same directory.
  bool is_free(std::size_t at, Communicator& group, const std::string& head, InWorkElsewhere how) {
    std::uint64_t free = 1;
    if (group.rank() == 0) {
      const TrialSpec& spec = trials_[at];
      if (const Found found = look(spec); found != Found::Nothing) {
        free = 0;
        count_elsewhere(found, head);
      } else if (how == InWorkElsewhere::Postpone && is_in_work(files_, options_.out, spec)) {
        free = 0;
        postponed_[at] = 1;
      }
    }
    group.broadcast(std::as_writable_bytes(std::span(&free, 1)), 0);
    return free != 0;
  }

  static void warn(const std::string& problem) { std::cerr << "winnow: warning: " << problem << std::endl; }

  Found look(const TrialSpec& spec) {
    std::vector<std::string> problems;
    const Found found = find_result(files_, options_.out, spec, problems);
    for (const std::string& problem : problems) warn(problem);
    return found;
  }

  void count_elsewhere(Found found, const std::string& head) {
    if (found == Found::Unreadable) {
      ++tally_[Tally::ElsewhereUnreadable];
      return;
    }
    ++tally_[found == Found::Diverged ? Tally::ElsewhereDiverged : Tally::Elsewhere];
    console_.line(head + "  already published by another run");
  }

  // False: asked to stop.
  bool run_one(const TrialSpec& spec, Communicator& group, const std::string& head) {
    const bool leader = group.rank() == 0;
    RunTrialOptions run;
    run.threads = threads_;
    run.command_line = options_.command_line;
    run.sweep_text = sweep_text_;
    run.stop_requested = [] { return stop_flag.load(); };
    std::optional<ProgressFile> progress_file;
    const auto start = std::chrono::steady_clock::now();
    if (leader) {
      progress_file.emplace(files_, options_.out, spec, group.size());
      run.progress = [&](const TrialProgress& p) {
        Progress row;
        row.step = p.step;
        row.steps = p.steps;
        row.loss = p.train_loss;
        if (p.test_accuracy >= 0) row.test_acc = p.test_accuracy;
        row.images_per_second = p.images_per_second;
        progress_file->update(row);
        console_.live(fmt::format("{}  step {}/{}  loss {:.4f}{}", head, p.step, p.steps, p.train_loss,
                                  p.test_accuracy >= 0 ? fmt::format("  test {:.4f}", p.test_accuracy) : ""));
      };
    }
    TrialResult result;
    try {
      result = run_trial(spec, group, run);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Stopped) throw;
      // On all ranks of the group at the same step; the others finish or stop by themselves.
      tally_[Tally::Stopped] = 1;
      return false;
    }
    if (leader) settle(spec, result, head, start);
    return true;
  }

  // Records how a trial of this group ended and says so.
  void settle(const TrialSpec& spec, const TrialResult& result, const std::string& head,
              std::chrono::steady_clock::time_point start) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (result.outcome == Outcome::Failed) {
      ++tally_[Tally::Failed];
      record_failure(files_, options_.out, spec, result.reason);
      console_.line(fmt::format("{}  failed: {}", head, result.reason));
      return;
    }
    if (publish(files_, options_.out, result) == Published::AlreadyThere) {
      count_elsewhere(look(spec), head);
    } else if (result.outcome == Outcome::Diverged) {
      ++tally_[Tally::Diverged];
      console_.line(fmt::format("{}  diverged: {}", head, result.reason));
    } else {
      ++tally_[Tally::Trained];
      const auto accuracy = result.summary.find("final.test_acc");
      console_.line(fmt::format("{}  test {:.4f}  {:.1f} s", head,
                                accuracy == result.summary.end() ? 0.0 : accuracy->second, seconds));
    }
  }

  const RunOptions& options_;
  Communicator& world_;
  PosixFiles files_;
  Console console_;
  int threads_;
  const std::vector<TrialSpec>& trials_;
  const std::string& sweep_text_;
  std::vector<Found> found_;              // of each trial, before any training
  std::vector<std::uint64_t> postponed_;  // 1: in work by another run when its turn came
  Tally tally_;
};

}  // namespace

int run_sweep(const Sweep& sweep, const RunOptions& options) {
  catch_stop_signals();
  const auto world = make_world();
  try {
    return SweepRunner(sweep, options, *world).run();
  } catch (const std::exception& error) {
    if (world->size() == 1) throw;
    // Other ranks may wait in a collective for this one; the job ends and the next run goes on from what is published.
    const auto* known = dynamic_cast<const Error*>(&error);
    std::cerr << "winnow: error: " << error.what() << std::endl;
    world->abort(known == nullptr ? static_cast<int>(ErrorKind::Internal) : static_cast<int>(known->kind()));
    throw;
  }
}

}  // namespace winnow
