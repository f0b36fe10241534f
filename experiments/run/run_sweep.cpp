#include "experiments/run/run_sweep.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <iostream>
#include <map>
#include <numeric>

#include "core/error.h"
#include "distributed/communicator.h"
#include "experiments/results/failure_file.h"
#include "experiments/results/layout.h"
#include "experiments/results/plan_file.h"
#include "experiments/results/progress_file.h"
#include "experiments/results/trial_file.h"
#include "experiments/run/console.h"
#include "experiments/run/cores.h"
#include "experiments/run/estimate.h"
#include "experiments/run/run_trial.h"

namespace winnow {
namespace {

// Set by the signal handler and by nothing else; the training loop looks at it between steps.
std::atomic<bool> stop_flag{false};

extern "C" void request_stop(int) { stop_flag.store(true); }

void catch_stop_signals() {
  struct sigaction action = {};
  action.sa_handler = request_stop;
  for (const int signal : {SIGTERM, SIGUSR2, SIGINT}) sigaction(signal, &action, nullptr);
}

std::string label(const TrialSpec& spec) {
  std::string text = spec.settings.text("data.name") + " " + spec.settings.text("model.name") +
                     " " + spec.settings.text("method.name");
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
        trials_(sweep.trials) {
    for (TrialSpec& trial : trials_) {
      if (options_.ranks_per_trial > 0) trial.ranks = options_.ranks_per_trial;
    }
  }

  int run() {
    prepare();
    if (world_.rank() == 0 && !missing_.empty()) {
      console_.line(fmt::format("{} of {} trials to train on {} rank{}, {} thread{} each",
                                missing_.size(), trials_.size(), world_.size(),
                                world_.size() == 1 ? "" : "s", threads_, threads_ == 1 ? "" : "s"));
    }
    std::map<int, std::vector<std::size_t>, std::greater<>> by_ranks;
    for (const std::size_t at : missing_) by_ranks[trials_[at].ranks].push_back(at);
    for (const auto& [ranks, list] : by_ranks) run_round(ranks, list);
    double sums[3] = {static_cast<double>(failed_), static_cast<double>(diverged_),
                      stopped_ ? 1.0 : 0.0};
    world_.all_reduce_sum(std::span<double>(sums));
    if (sums[2] > 0) {
      if (world_.rank() == 0)
        console_.line("stopped on request; the same command goes on with what is missing");
      return static_cast<int>(ErrorKind::Stopped);
    }
    if (world_.rank() == 0) {
      console_.line(fmt::format("{} trials: {} already done, {} trained, {} diverged, {} failed",
                                trials_.size(), trials_.size() - missing_.size(),
                                missing_.size() - static_cast<std::size_t>(sums[0]), sums[1],
                                sums[0]));
    }
    return options_.strict && sums[0] + sums[1] > 0 ? 3 : 0;
  }

 private:
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
    std::vector<std::byte> done(trials_.size(), std::byte{0});
    if (world_.rank() == 0) {
      files_.make_folders(options_.out);
      const Layout layout(options_.out);
      std::vector<PlannedTrial> plan;
      for (const TrialSpec& trial : trials_) plan.push_back(planned(trial));
      write_plan(files_, options_.out, plan);
      std::vector<std::string> failures;
      if (!options_.retry_failed) {
        for (const FailureRecord& record : read_failures(files_, options_.out))
          failures.push_back(record.name);
      }
      for (std::size_t i = 0; i < trials_.size(); ++i) {
        const auto path = layout.trial(trials_[i].name());
        if (files_.exists(path)) {
          read_header(files_, path);  // a damaged result must not count as done
          done[i] = std::byte{1};
        } else if (std::ranges::find(failures, trials_[i].name()) != failures.end()) {
          done[i] = std::byte{1};
        }
      }
    }
    world_.broadcast(done, 0);
    for (std::size_t i = 0; i < trials_.size(); ++i) {
      if (done[i] == std::byte{0}) missing_.push_back(i);
    }
  }

  void run_round(int ranks, std::vector<std::size_t> list) {
    std::vector<double> cost(trials_.size());
    for (const std::size_t at : list) cost[at] = estimate(trials_[at]).seconds;
    std::stable_sort(list.begin(), list.end(), [&](auto a, auto b) { return cost[a] > cost[b]; });
    const int groups = world_.size() / ranks, mine = world_.rank() / ranks;
    auto group = world_.split(mine, world_.rank());
    const auto tickets = make_tickets(world_);
    while (mine <
           groups) {  // ranks left over after the last whole group have nothing to do in this round
      std::int64_t ticket = group->rank() == 0 ? tickets->next() : 0;
      group->broadcast(std::as_writable_bytes(std::span(&ticket, 1)), 0);
      if (ticket >= static_cast<std::int64_t>(list.size())) break;
      run_one(trials_[list[static_cast<std::size_t>(ticket)]], *group, ticket + 1, list.size());
    }
    world_.barrier();
  }

  void run_one(const TrialSpec& spec, Communicator& group, std::int64_t number, std::size_t count) {
    const bool leader = group.rank() == 0;
    RunTrialOptions run;
    run.threads = threads_;
    run.command_line = options_.command_line;
    run.stop_requested = [] { return stop_flag.load(); };
    std::optional<ProgressFile> progress_file;
    const auto start = std::chrono::steady_clock::now();
    const std::string head = fmt::format("[{}/{}] {} {}", number, count, spec.name(), label(spec));
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
        console_.live(
            fmt::format("{}  step {}/{}  loss {:.4f}{}", head, p.step, p.steps, p.train_loss,
                        p.test_accuracy >= 0 ? fmt::format("  test {:.4f}", p.test_accuracy) : ""));
      };
    }
    TrialResult result;
    try {
      result = run_trial(spec, group, run);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Stopped) throw;
      stopped_ = true;  // on all ranks of the group at the same step; the others finish or stop by
                        // themselves
      return;
    }
    if (!leader) return;
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (result.outcome == Outcome::Failed) {
      ++failed_;
      record_failure(files_, options_.out, spec, result.reason);
      console_.line(fmt::format("{}  failed: {}", head, result.reason));
      return;
    }
    publish(files_, options_.out, result);
    forget_failure(files_, options_.out, spec.name());
    if (result.outcome == Outcome::Diverged) {
      ++diverged_;
      console_.line(fmt::format("{}  diverged: {}", head, result.reason));
    } else {
      const auto accuracy = result.summary.find("final.test_acc");
      console_.line(fmt::format("{}  test {:.4f}  {:.1f} s", head,
                                accuracy == result.summary.end() ? 0.0 : accuracy->second,
                                seconds));
    }
  }

  const RunOptions& options_;
  Communicator& world_;
  PosixFiles files_;
  Console console_;
  int threads_;
  std::vector<TrialSpec> trials_;
  std::vector<std::size_t> missing_;  // positions in trials_
  std::int64_t failed_ = 0, diverged_ = 0;
  bool stopped_ = false;
};

}  // namespace

int run_sweep(const Sweep& sweep, const RunOptions& options) {
  catch_stop_signals();
  const auto world = make_world();
  try {
    return SweepRunner(sweep, options, *world).run();
  } catch (const std::exception& error) {
    if (world->size() == 1) throw;
    // Other ranks may wait in a collective for this one; the job ends and the next run goes on from
    // what is published.
    const auto* known = dynamic_cast<const Error*>(&error);
    std::cerr << "winnow: error: " << error.what() << std::endl;
    world->abort(known == nullptr ? static_cast<int>(ErrorKind::Internal)
                                  : static_cast<int>(known->kind()));
    throw;
  }
}

}  // namespace winnow
