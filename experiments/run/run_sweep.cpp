#include "experiments/run/run_sweep.h"

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "core/error.h"
#include "distributed/agree.h"
#include "distributed/launch.h"
#include "distributed/ranks_lost.h"
#include "experiments/data/missing_data.h"
#include "experiments/results/linked_folders.h"
#include "experiments/results/plan_file.h"
#include "experiments/results/run_account.h"
#include "experiments/results/trial_file.h"
#include "experiments/run/compare_notes.h"
#include "experiments/run/console.h"
#include "experiments/run/cores.h"
#include "experiments/run/crash_watch.h"
#include "experiments/run/devices.h"
#include "experiments/run/estimate.h"
#include "experiments/run/exit_file.h"
#include "experiments/run/need_order.h"
#include "experiments/run/rule_rounds.h"
#include "experiments/run/run_journal.h"
#include "experiments/run/shard_assignment.h"
#include "experiments/run/shard_costs.h"
#include "experiments/run/shared_sweep.h"
#include "experiments/run/stop_request.h"
#include "experiments/run/sweep_rounds.h"
#include "experiments/run/sweep_state.h"
#include "experiments/run/trial_news.h"
#include "experiments/text.h"

namespace winnow {
namespace {

class SweepRunner {
 public:
  SweepRunner(const Sweep& sweep, const RunOptions& options, Communicator& world, Files& files)
      : options_(options),
        world_(world),
        files_(files),
        console_(options.quiet, world.rank() == 0),
        mail_(world.mail()),
        trials_(sweep.trials),
        sweep_text_(sweep.text),
        rule_(sweep.stop ? &*sweep.stop : nullptr),
        costs_(sweep.trials.size()),
        step_costs_(sweep.trials.size()),
        mine_(sweep.trials.size(), 1),
        desk_(console_, *mail_, trials_, costs_) {
    if (rule_ == nullptr) return;
    rule_rounds_.emplace(RuleRounds::Job{.world = world_,
                                         .files = files_,
                                         .console = console_,
                                         .options = options_,
                                         .trials = trials_,
                                         .rule = *rule_,
                                         .decided = [this](const RungDecision& one) { desk_.decided(one); }});
  }

  int run() {
    prepare();
    try {
      const int code = train_all();
      if (journal_) journal_->end(code);
      if (world_.rank() == 0 && options_.listener) tell_summary(code);
      return code;
    } catch (const RanksLost&) {
      throw;  // by whom, the journal does not know: a mark beside it says that one crashed
    } catch (const std::exception& error) {
      if (journal_) {
        journal_->end(static_cast<int>(kind_of(error)));
      } else if (kind_of(error) != ErrorKind::Stopped && dynamic_cast<const AgreedError*>(&error) == nullptr) {
        leave_mark();  // alone with this error
      }
      throw;
    }
  }

 private:
  // Rank 0 is ended before it could write down why: what this rank leaves beside the journal says that nobody from outside did it.
  void leave_mark() noexcept {
    if (crash_mark_.empty()) return;
    try {
      files_.replace(crash_mark_, std::string_view(), {.read_only = false, .synced = false});
    } catch (const std::exception&) {  // the time counts as lost to others
    }
  }

  int train_all() {
    // Counted over all trials, not over those that are left: where the last bits of a result depend on the number of
    // threads, a run that goes on must train as the one before it.
    const int own_cores = cores_of_rank(world_);
    cores_ = share_cores(own_cores, trials_.size(), workers_wanted(), options_.threads, may_fork_);
    estimate_costs();
    if (world_.rank() == 0) announce();
    if (world_.rank() == 0) keep_journal();
    int attempt = journal_ ? journal_->attempt() : 0;
    world_.broadcast(std::as_writable_bytes(std::span(&attempt, 1)), 0);
    if (attempt > 0) crash_mark_ = crash_mark(options_.out, part(), attempt);
    const auto notice = world_.notice();
    StopRequest stop(*notice);
    const bool go_on = train(stop);
    world_.all_reduce_sum(std::span<double>(tally_.counts));
    take_in_all_mail();
    if (!go_on) {
      if (world_.rank() == 0) console_.line("stopped on request; the same command goes on with what is missing");
      return static_cast<int>(ErrorKind::Stopped);
    }
    if (world_.rank() == 0) {
      console_.line(summary(found_of_mine(), tally_, options_.retry_failed).line());
      if (rule_rounds_) rule_rounds_->say_stopped();
      console_.line("next   winnow report " + shell_quoted(options_.out.string()));
    }
    const std::vector<Found> found = found_of_mine();
    if (tally_[Tally::Refused] > 0) return say_refused();
    if (any_unreadable(found, tally_)) return static_cast<int>(ErrorKind::Input);
    return options_.strict && !all_well(found, tally_, options_.retry_failed) ? 3 : 0;
  }

  void tell_summary(int code) const {
    const RunSummary all = summary(found_of_mine(), tally_, options_.retry_failed);
    options_.listener({{"kind", "summary"},
                       {"trials", all.trials},
                       {"already_done", all.already_done},
                       {"already_diverged", all.already_diverged},
                       {"unreadable", all.unreadable},
                       {"left_alone", all.left_alone},
                       {"elsewhere", all.elsewhere},
                       {"trained", all.trained},
                       {"diverged", all.diverged},
                       {"failed", all.failed},
                       {"stopped", rule_rounds_ ? rule_rounds_->stopped() : 0},
                       {"code", code}});
  }

  int say_refused() {
    if (world_.rank() == 0) {
      console_.problem(
          "ranks whose GPUs are unfit for a trial of several ranks (its reason is above) took no others of these; "
          "with a GPU for each rank, all of one model, the same command with --retry-failed trains what is left");
    }
    return static_cast<int>(ErrorKind::Site);
  }

  // False, on all ranks: asked to stop.
  bool train(StopRequest& stop) {
    const NeedOrder needs = need_order(trials_, costs_);
    SweepRounds rounds({.world = world_,
                        .files = files_,
                        .options = options_,
                        .trials = trials_,
                        .sweep_text = sweep_text_,
                        .rule = rule_,
                        .cores = cores_,
                        .devices = devices_,
                        .place = place_,
                        // On a GPU even a single worker is a process of its own: a fault of the device costs one trial.
                        .by_workers = cores_.workers > 1 || (uses_gpus() && may_fork_),
                        .at_once = at_once_on_gpu(),
                        .desk = desk_,
                        .by_mail = *by_mail_,
                        .found = found_,
                        .step_costs = step_costs_,
                        .needs = needs,
                        .crash_mark = crash_mark_,
                        .stop = stop,
                        .tally = tally_});
    if (rule_rounds_) return rule_rounds_->run(found_, [&](const auto& due) { return rounds.train_due(due); });
    std::vector<std::size_t> left;
    for (std::size_t at = 0; at < trials_.size(); ++at) {
      if (is_left(at)) left.push_back(at);
    }
    return rounds.train_all(std::move(left));
  }

  void keep_journal() {
    std::size_t left = 0;
    for (std::size_t at = 0; at < trials_.size(); ++at) left += is_left(at) ? 1 : 0;
    if (left == 0) return;
    journal_.emplace(files_, options_.out,
                     RunJournal::Facts{.part = part(),
                                       .command_line = options_.command_line,
                                       .ranks = world_.size(),
                                       .trials = left,
                                       .rule = rule_,
                                       .listener = options_.listener},
                     [this](const std::string& line) { console_.problem(line); });
    desk_.keep(&*journal_);
  }

  std::string part() const { return options_.shard ? fmt::format("s{:04}", options_.shard->number) : "run"; }

  bool is_left(std::size_t at) const {
    if (mine_[at] == 0) return false;
    return found_[at] == Found::Nothing || (options_.retry_failed && found_[at] == Found::FailedBefore);
  }
  // Now, or when the rule lets it past its rung.
  bool may_train(std::size_t at) const { return is_left(at) || found_[at] == Found::Waits; }

  void announce() {
    std::set<int> widths;
    std::size_t left = 0;
    const int at_once = at_once_on_gpu(), each = std::max(1, at_once);
    int at_a_time = cores_.workers * each;
    double cost = 0;
    for (std::size_t i = 0; i < trials_.size(); ++i) {
      if (!is_left(i)) continue;
      widths.insert(trials_.ranks(i));
      const int ranks = trials_.ranks(i);
      at_a_time = std::max(at_a_time, world_.size() / ranks * (ranks == 1 ? each : 1));
      cost += costs_[i];
      ++left;
    }
    if (left == 0) return;
    if (options_.trials_per_device > 1 && !uses_gpus()) {
      console_.line("note --trials-per-device is for trials on GPUs; on a CPU each process trains one at a time");
    }
    console_.begin(left, cost, static_cast<std::size_t>(at_a_time));
    const auto plural = [](int count) { return count == 1 ? "" : "s"; };
    const std::string crew = world_.size() > 1    ? fmt::format("on {} ranks", world_.size())
                             : cores_.workers > 1 ? fmt::format("by {} workers (--workers N)", cores_.workers)
                             : at_once != 1       ? "by a worker"
                                                  : "one at a time";
    const auto all = static_cast<std::size_t>(std::ranges::count(mine_, char{1}));
    console_.line(fmt::format("{} of {} to train {}, {} thread{} each", left, counted(all, "trial"), crew,
                              cores_.threads, plural(cores_.threads)));
    if (uses_gpus()) {
      const std::string how_many = !widths.contains(1) ? ""
                                   : at_once == 0      ? ", as many at once as make it faster (--trials-per-device N)"
                                   : at_once > 1       ? fmt::format(", {} at once on each", at_once)
                                                       : "";
      console_.line(fmt::format("trials without train.device: cpu are trained on {} GPU{} ({}){}", devices_.gpus,
                                plural(devices_.gpus), devices_.name, how_many));
    } else if (!devices_.problem.empty() && cuda::survey_gpus != nullptr) {
      console_.line("trained on the CPU: " + devices_.problem);
    }
    for (const int ranks : widths) {
      const int idle = world_.size() % ranks;
      if (idle == 0) continue;
      console_.line(fmt::format("{} of {} ranks will be idle: a trial takes {}", idle, world_.size(), ranks));
    }
  }

  // What is wrong is said before any training. Rank 0 looks at the disk, so that all ranks agree on what is missing.
  void prepare() {
    agree(world_, [&] {
      if (rule_rounds_) rule_rounds_->check_shard();
      int widest = 1;
      for (std::size_t i = 0; i < trials_.size(); ++i) widest = std::max(widest, trials_.ranks(i));
      if (widest <= world_.size()) return;
      fail(ErrorKind::Site,
           "a trial needs {} ranks, this job has {}: start it with mpirun -n {} or set ranks "
           "lower",
           widest, world_.size(), widest);
    });
    share_out(world_, options_.out, files_);
    found_.assign(trials_.size(), Found::Nothing);
    agree(world_, [&] {
      if (world_.rank() != 0) return;
      refuse_linked_folders(files_, options_.out);
      files_.check_publishing(options_.out);
      clear_leftovers(files_, options_.out);
      std::vector<std::string> problems;
      if (options_.shard) find_shard();
      found_ = find_results(files_, options_.out, trials_, mine_, problems);
      for (const std::string& problem : problems) console_.problem("warning: " + problem);
      if (rule_rounds_) rule_rounds_->leave_out_stopped(found_);
      find_data();
      write_plan(files_, options_.out, trials_);
      archive_sweep(files_, options_.out, sweep_text_);
    });
    world_.broadcast(std::as_writable_bytes(std::span(mine_)), 0);
    world_.broadcast(std::as_writable_bytes(std::span(found_)), 0);
    devices_ = find_devices(world_, wanted_devices([this](std::size_t at) { return may_train(at); }), may_fork_);
    shares_gpu_ = uses_gpus() && shares_its_gpu(*node_, devices_);
  }

  std::vector<Found> found_of_mine() const {
    std::vector<Found> found;
    for (std::size_t at = 0; at < found_.size(); ++at) {
      if (mine_[at] != 0) found.push_back(found_[at]);
    }
    return found;
  }

  // All jobs of the sweep go by what the first of them makes out.
  void find_shard() {
    const auto& [number, of, deal] = *options_.shard;
    const ShardPlan plan = agreed_shards(files_, options_.out, trials_, {of, deal});
    mine_ = trials_of_shard(trials_, plan.shard_of, number);
    const ShardLoad load = load_of(plan.costs, plan.shard_of, of);
    console_.line(fmt::format(
        "shard {}/{}: {} of {}, with what they need; the longest shard takes {:.1f} % longer than the mean", number, of,
        std::ranges::count(mine_, char{1}), counted(trials_.size(), "trial"), 100 * load.above_mean()));
  }

  // Of these trials.
  std::set<std::string> wanted_devices(const std::function<bool(std::size_t)>& of) const {
    std::set<std::string> wanted;
    for (std::size_t i = 0; i < trials_.size(); ++i) {
      const std::string* device = of(i) ? trials_.find(i, kDeviceKey) : nullptr;
      if (device != nullptr) wanted.insert(*device);
    }
    return wanted;
  }

  // Two processes on one GPU take turns there, so without a word for it there is one for each.
  int workers_wanted() const {
    if (options_.workers > 0 || !uses_gpus()) return options_.workers;
    return std::clamp<int>(devices_.gpus, 1, static_cast<int>(std::max<std::size_t>(trials_.size(), 1)));
  }
  bool uses_gpus() const { return devices_.gpus > 0; }
  // Trials that a worker trains at once, or a rank alone; 0: as many as make it faster.
  int at_once_on_gpu() const {
    if (!uses_gpus()) return 1;
    // Processes that share a GPU do not know what the others are about to take.
    const bool shared = may_fork_ ? options_.workers > devices_.gpus : shares_gpu_;
    return options_.trials_per_device == 0 && shared ? 1 : options_.trials_per_device;
  }

  // Seconds of a trial, and of a step of it.
  static std::pair<double, double> times_of(const TrialEstimate& found) {
    double steps = 0;
    for (const Phase& phase : found.phases) steps += static_cast<double>(phase.last_step - phase.first_step);
    return {found.seconds, found.seconds / std::max(steps, 1.0)};
  }

  // Of one setup, all trials cost the same.
  void estimate_costs() {
    agree(world_, [&] {
      if (world_.rank() != 0) return;
      Estimator estimator;
      std::vector<std::optional<std::pair<double, double>>> known(trials_.setups());
      for (std::size_t i = 0; i < trials_.size(); ++i) {
        if (!may_train(i)) continue;
        if (!known[trials_.setup(i)]) known[trials_.setup(i)] = times_of(estimator(trials_[i]));
        costs_[i] = known[trials_.setup(i)]->first;
        step_costs_[i] = known[trials_.setup(i)]->second;
      }
    });
    world_.broadcast(std::as_writable_bytes(std::span(costs_)), 0);
    world_.broadcast(std::as_writable_bytes(std::span(step_costs_)), 0);
  }

  void find_data() {
    const DataCheck check = check_data(trials_.distinct_below("data", [&](std::size_t at) { return may_train(at); }));
    if (!check.problems.empty()) fail(ErrorKind::Input, "{}", fmt::join(check.problems, "\n"));
    for (const std::string& remark : check.remarks) console_.line("note " + remark);
  }

  // Rank 0 shows every trial's end before the summary: what the others sent is on its way, or there.
  void take_in_all_mail() {
    double sent = world_.rank() == 0 ? 0 : static_cast<double>(mail_->count());
    world_.all_reduce_sum(std::span(&sent, 1));
    while (world_.rank() == 0 && static_cast<double>(mail_->count()) < sent) desk_.listen();
  }

  const RunOptions& options_;
  Communicator& world_;
  Files& files_;
  Console console_;
  std::unique_ptr<Mail> mail_;
  // A process that MPI lives in should not fork.
  const bool may_fork_ = !read_launch().needs_mpi();
  const std::unique_ptr<Communicator> node_ = world_.on_node();
  const int place_ = node_->rank();  // among the ranks of this machine, which take its GPUs in turn
  RunDevices devices_;
  bool shares_gpu_ = false;  // with another rank
  CoreShares cores_;
  const TrialTable& trials_;
  const std::string& sweep_text_;
  const StopRule* rule_;  // null: every trial is trained to its end
  std::optional<RuleRounds> rule_rounds_;
  std::vector<Found> found_;                                  // of each trial, before any training
  std::vector<double> costs_;                                 // of each trial that may be trained: seconds by estimate
  std::vector<double> step_costs_;                            // and of a step of it
  std::vector<char> mine_;                                    // of each trial: is it of this shard
  FrontDesk desk_;                                            // rank 0's
  std::unique_ptr<NewsDesk> by_mail_ = news_by_mail(*mail_);  // the others'
  std::optional<RunJournal> journal_;                         // rank 0's
  std::filesystem::path crash_mark_;                          // of the journal
  Tally tally_;
};

// What goes wrong on one rank leaves none of the others waiting.
int run_on_all(Communicator& world, const std::function<int()>& work) {
  catch_stop_signals();
  catch_crashes();
  try {
    return work();
  } catch (const AgreedError& error) {
    if (world.rank() != 0) return static_cast<int>(error.kind());
    if (error.own()) std::rethrow_exception(error.own());
    throw;
  } catch (const RanksLost& error) {
    // Whoever is left is told by the launcher, and may be saving: nobody is ended from here.
    std::cerr << fmt::format("winnow: error: rank {}: {}\n", world.rank(), error.what()) << std::flush;
    note_exit_code(static_cast<int>(error.kind()));
    std::cout.flush();
    std::_Exit(static_cast<int>(error.kind()));
  } catch (const std::exception& error) {
    if (world.size() == 1) throw;
    // Others may wait for this rank, now or later; the next run goes on from what is published.
    std::cerr << fmt::format("winnow: error: rank {}: {}\n", world.rank(), reason_of(error)) << std::flush;
    note_exit_code(static_cast<int>(kind_of(error)));
    world.abort(static_cast<int>(kind_of(error)));
    throw;
  }
}

}  // namespace

int run_sweep(Communicator& world, Files& files, const std::function<std::optional<SweepJob>()>& read) {
  return run_on_all(world, [&] {
    const auto job = read();
    if (!job) return 0;
    const Sweep sweep = shared_sweep(world, *job);
    return SweepRunner(sweep, job->options, world, files).run();
  });
}

int run_sweep(Communicator& world, Files& files, const Sweep& sweep, const RunOptions& options) {
  return run_on_all(world, [&] { return SweepRunner(sweep, options, world, files).run(); });
}

}  // namespace winnow
