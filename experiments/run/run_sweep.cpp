#include "experiments/run/run_sweep.h"

#include <algorithm>
#include <chrono>
#include <iostream>
#include <map>
#include <set>
#include <thread>
#include <tuple>
#include <utility>

#include "core/error.h"
#include "distributed/agree.h"
#include "distributed/launch.h"
#include "distributed/ranks_lost.h"
#include "experiments/data/missing_data.h"
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
#include "experiments/run/sweep_state.h"
#include "experiments/run/trial_news.h"
#include "experiments/run/trial_runner.h"
#include "experiments/run/worker_crew.h"
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
        postponed_(sweep.trials.size(), Postponed::Untouched),
        desk_(console_, *mail_, trials_, costs_) {
    if (rule_ == nullptr) return;
    rule_rounds_.emplace(RuleRounds::Job{
        .world = world_, .files = files_, .console = console_, .options = options_, .trials = trials_, .rule = *rule_});
  }

  int run() {
    prepare();
    try {
      const int code = train_all();
      if (journal_) journal_->end(code);
      return code;
    } catch (const RanksLost&) {
      throw;  // by whom, the journal does not know: a mark beside it says that one crashed
    } catch (const std::exception& error) {
      if (journal_) journal_->end(static_cast<int>(kind_of(error)));
      throw;
    }
  }

 private:
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
    needs_ = need_order(trials_, costs_);
    const bool go_on = rule_rounds_ ? run_by_rule(stop) : run_all(stop);
    world_.all_reduce_sum(std::span<double>(tally_.counts));
    take_in_all_mail();
    if (!go_on) {
      if (world_.rank() == 0) console_.line("stopped on request; the same command goes on with what is missing");
      return static_cast<int>(ErrorKind::Stopped);
    }
    if (world_.rank() == 0) {
      console_.line(summary(found_of_mine(), tally_, options_.retry_failed));
      if (rule_rounds_) rule_rounds_->say_stopped();
      console_.line("next   winnow report " + shell_quoted(options_.out.string()));
    }
    const std::vector<Found> found = found_of_mine();
    if (any_unreadable(found, tally_)) return static_cast<int>(ErrorKind::Input);
    return options_.strict && !all_well(found, tally_, options_.retry_failed) ? 3 : 0;
  }

  // False, on all ranks: asked to stop.
  bool run_all(StopRequest& stop) {
    std::vector<std::size_t> left;
    for (std::size_t i = 0; i < trials_.size(); ++i) {
      if (is_left(i)) left.push_back(i);
    }
    // A trial that finds what it needs neither done nor in work has its next turn in the next round. Each round settles
    // all that lie one level deeper, so that rounds come to an end.
    bool go_on = true;
    for (settled_ = 0; go_on && !left.empty(); ++settled_) {
      const std::size_t before = left.size();
      go_on = run_rounds(left, stop);
      left = take_postponed(Postponed::Waiting);
      if (!go_on || settled_ < needs_.deepest || left.size() < before) continue;
      fail(ErrorKind::Internal, "trials wait for others that have ended");
    }
    return go_on;
  }

  bool run_by_rule(StopRequest& stop) {
    return rule_rounds_->run(found_, [&](const std::vector<std::size_t>& due) {
      std::ranges::fill(postponed_, Postponed::Untouched);
      return run_rounds(due, stop);
    });
  }

  void keep_journal() {
    std::size_t left = 0;
    for (std::size_t at = 0; at < trials_.size(); ++at) left += is_left(at) ? 1 : 0;
    if (left == 0) return;
    journal_.emplace(files_, options_.out,
                     RunJournal::Facts{
                         .part = part(), .command_line = options_.command_line, .ranks = world_.size(), .trials = left},
                     [this](const std::string& line) { console_.problem(line); });
    desk_.keep(&*journal_);
  }

  std::string part() const { return options_.shard ? fmt::format("s{:04}", options_.shard->number) : "run"; }

  bool is_left(std::size_t at) const {
    if (mine_[at] == 0) return false;
    return found_[at] == Found::Nothing || (options_.retry_failed && found_[at] == Found::FailedBefore);
  }

  bool run_rounds(const std::vector<std::size_t>& left, StopRequest& stop) {
    std::map<int, std::vector<std::size_t>, std::greater<>> by_ranks;
    for (const std::size_t at : left) by_ranks[trials_.ranks(at)].push_back(at);
    bool go_on = true;
    for (auto& [ranks, list] : by_ranks) {
      // What another run has in work comes last: two runs on one directory share it.
      if (go_on) go_on = run_round(ranks, list, InWorkElsewhere::Postpone, stop);
      if (go_on) go_on = run_round(ranks, take_postponed(Postponed::InWorkElsewhere), InWorkElsewhere::Train, stop);
      // What ended its process is alone in the next one, until it has a result or has ended too many.
      for (std::vector<std::size_t> suspects; go_on && !(suspects = take_postponed(Postponed::Suspect)).empty();) {
        go_on = run_round(ranks, suspects, InWorkElsewhere::Train, stop, 1);
      }
    }
    return go_on;
  }

  void announce() {
    std::set<int> widths;
    std::size_t left = 0;
    auto at_a_time = static_cast<std::size_t>(cores_.workers * std::max(1, at_once_on_gpu()));
    double cost = 0;
    for (std::size_t i = 0; i < trials_.size(); ++i) {
      if (!is_left(i)) continue;
      widths.insert(trials_.ranks(i));
      at_a_time = std::max(at_a_time, static_cast<std::size_t>(world_.size() / trials_.ranks(i)));
      cost += costs_[i];
      ++left;
    }
    if (left == 0) return;
    console_.begin(left, cost, at_a_time);
    const auto plural = [](int count) { return count == 1 ? "" : "s"; };
    const std::string crew = world_.size() > 1       ? fmt::format("on {} ranks", world_.size())
                             : cores_.workers > 1    ? fmt::format("by {} workers (--workers N)", cores_.workers)
                             : at_once_on_gpu() != 1 ? "by a worker"
                                                     : "one at a time";
    const auto all = static_cast<std::size_t>(std::ranges::count(mine_, char{1}));
    console_.line(fmt::format("{} of {} to train {}, {} thread{} each", left, counted(all, "trial"), crew,
                              cores_.threads, plural(cores_.threads)));
    if (uses_gpus()) {
      const std::string at_once = at_once_on_gpu() == 0  ? ", as many at once as make it faster (--trials-per-device N)"
                                  : at_once_on_gpu() > 1 ? fmt::format(", {} at once on each", at_once_on_gpu())
                                                         : "";
      console_.line(fmt::format("trials without train.device: cpu are trained on {} GPU{} ({}){}", devices_.gpus,
                                plural(devices_.gpus), devices_.name, at_once));
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
    devices_ = find_devices(world_, wanted_devices([this](std::size_t at) { return is_left(at); }), may_fork_);
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
  // Trials that a worker trains at once; 0: as many as make it faster.
  int at_once_on_gpu() const {
    if (!uses_gpus() || !may_fork_) return 1;
    // Processes that share a GPU do not know what the others are about to take.
    const bool shared = options_.workers > devices_.gpus;
    return options_.trials_per_device == 0 && shared ? 1 : options_.trials_per_device;
  }

  // Seconds of a trial, and of a step of it.
  static std::pair<double, double> estimated_times(const TrialSpec& spec) {
    const TrialEstimate found = estimate(spec);
    double steps = 0;
    for (const Phase& phase : found.phases) steps += static_cast<double>(phase.last_step - phase.first_step);
    return {found.seconds, found.seconds / std::max(steps, 1.0)};
  }

  // Of one setup, all trials cost the same.
  void estimate_costs() {
    agree(world_, [&] {
      if (world_.rank() != 0) return;
      std::vector<std::optional<std::pair<double, double>>> known(trials_.setups());
      for (std::size_t i = 0; i < trials_.size(); ++i) {
        if (!is_left(i)) continue;
        if (!known[trials_.setup(i)]) known[trials_.setup(i)] = estimated_times(trials_[i]);
        costs_[i] = known[trials_.setup(i)]->first;
        step_costs_[i] = known[trials_.setup(i)]->second;
      }
    });
    world_.broadcast(std::as_writable_bytes(std::span(costs_)), 0);
  }

  void find_data() {
    const DataCheck check = check_data(trials_.distinct_below("data", [&](std::size_t at) { return is_left(at); }));
    if (!check.problems.empty()) fail(ErrorKind::Input, "{}", fmt::join(check.problems, "\n"));
    for (const std::string& remark : check.remarks) console_.line("note " + remark);
  }

  // The trials of which this became on some rank; the same list on all of them.
  std::vector<std::size_t> take_postponed(Postponed why) {
    std::vector<std::size_t> list;
    for (std::size_t i = 0; i < trials_.size(); ++i) {
      if (postponed_[i] != why) continue;
      postponed_[i] = Postponed::Untouched;
      list.push_back(i);
    }
    return list;
  }

  // Longest first, with what waits for it; trials that need others come behind those. What failed before comes last, since
  // a trial that ends its job would keep all others from their turn.
  void order(std::vector<std::size_t>& list) const {
    std::ranges::stable_sort(list, {}, [&](std::size_t at) {
      return std::tuple(found_[at] == Found::FailedBefore, needs_.depth[at], -needs_.chain[at]);
    });
  }

  // False, on all ranks: asked to stop.
  bool run_round(int ranks, std::vector<std::size_t> list, InWorkElsewhere how, StopRequest& stop,
                 std::optional<int> at_once = {}) {
    if (list.empty()) return true;
    order(list);
    // On a GPU even a single worker is a process of its own: a fault of the device costs one trial.
    if (cores_.workers > 1 || (uses_gpus() && may_fork_))
      return run_workers(list, how, at_once.value_or(at_once_on_gpu()));
    const int groups = world_.size() / ranks, mine = world_.rank() / ranks;
    const auto group = world_.split(mine, world_.rank());
    const auto tickets = world_.tickets(TrialDraw::counters(trials_, list));
    if (mine < groups) {  // ranks left over after the last whole group have nothing to do in this round
      TrialRunner({.trials = trials_,
                   .options = options_,
                   .threads = cores_.threads,
                   .devices = devices_,
                   .place = place_,
                   .sweep_text = sweep_text_,
                   .read_ahead = cores_.read_ahead,
                   .files = files_,
                   .news = world_.rank() == 0 ? static_cast<NewsDesk&>(desk_) : *by_mail_,
                   .stop = stop,
                   .tally = tally_,
                   .postponed = postponed_,
                   .depths = needs_.depth,
                   .settled = settled_,
                   .crash_mark = crash_mark_,
                   .rule = rule_})
          .run(*group, *tickets, list, how);
    }
    return finish_round(stop);
  }

  // `at_once`: trials that each trains; 0: as many as make it faster.
  bool run_workers(std::span<const std::size_t> list, InWorkElsewhere how, int at_once) {
    // A single trial can let others past a rung.
    const std::size_t most = rule_ != nullptr ? trials_.size() : list.size();
    const int workers = static_cast<int>(std::min(static_cast<std::size_t>(cores_.workers), most));
    constexpr int kMostAtOnce = 16;  // where nobody says
    const int share = (static_cast<int>(list.size()) + workers - 1) / workers;
    const WorkerCrew::AtOnce each{.most = std::min(at_once > 0 ? at_once : kMostAtOnce, share),
                                  .from_the_start = at_once > 0};
    return WorkerCrew({.trials = trials_,
                       .options = options_,
                       .threads = cores_.threads,
                       .devices = devices_,
                       .sweep_text = sweep_text_,
                       .read_ahead = cores_.read_ahead,
                       .files = files_,
                       .desk = desk_,
                       .tally = tally_,
                       .postponed = postponed_,
                       .step_costs = step_costs_,
                       .depths = needs_.depth,
                       .settled = settled_,
                       .rule = rule_},
                      workers, each, TrialDraw::counters(trials_, list))
        .run(list, how);
  }

  // Until all ranks have come here this one sleeps, and still passes on what it is told.
  bool finish_round(StopRequest& stop) {
    std::vector<std::uint64_t> said(postponed_.size() + 1, stop() ? 1 : 0);
    std::ranges::transform(postponed_, said.begin(), [](Postponed what) { return static_cast<std::uint64_t>(what); });
    const auto all_here = world_.start_all_reduce_max(std::span(said));
    for (auto pause = std::chrono::microseconds(50); !all_here->poll();) {
      stop();
      if (world_.rank() == 0) desk_.listen();
      std::this_thread::sleep_for(pause);
      pause = std::min(2 * pause, std::chrono::microseconds(10'000));
    }
    std::transform(said.begin(), said.end() - 1, postponed_.begin(),
                   [](std::uint64_t what) { return static_cast<Postponed>(what); });
    return said.back() == 0;
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
  const int place_ = world_.on_node()->rank();  // among the ranks of this machine, which take its GPUs in turn
  RunDevices devices_;
  CoreShares cores_;
  const TrialTable& trials_;
  const std::string& sweep_text_;
  const StopRule* rule_;  // null: every trial is trained to its end
  std::optional<RuleRounds> rule_rounds_;
  std::vector<Found> found_;          // of each trial, before any training
  std::vector<double> costs_;         // of each trial that is left: seconds by estimate
  std::vector<double> step_costs_;    // and of a step of it, on the rank that plans
  std::vector<char> mine_;            // of each trial: is it of this shard
  std::vector<Postponed> postponed_;  // of each trial
  NeedOrder needs_;
  int settled_ = 0;                                           // trials up to this depth wait for nobody any more
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
