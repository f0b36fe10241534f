// The rounds in which a run trains its trials: in each, groups of ranks or workers draw from one list until none of it can be trained now;
// what is left over, because it waited, was in work elsewhere or was lost with its process, has its turn in a later one. Every rank has
// one and calls it with the others. Borrows all it is given.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "distributed/communicator.h"
#include "experiments/results/files.h"
#include "experiments/run/cores.h"
#include "experiments/run/devices.h"
#include "experiments/run/need_order.h"
#include "experiments/run/round_watch.h"
#include "experiments/run/run_sweep.h"
#include "experiments/run/stop_request.h"
#include "experiments/run/sweep_state.h"
#include "experiments/run/trial_lanes.h"
#include "experiments/run/trial_news.h"
#include "experiments/run/trial_runner.h"
#include "experiments/trial_table.h"

namespace winnow {

class SweepRounds {
 public:
  struct Job {
    Communicator& world;
    Files& files;
    const RunOptions& options;
    const TrialTable& trials;
    const std::string& sweep_text;
    const StopRule* rule;  // null: every trial is trained to its end
    const CoreShares& cores;
    RunDevices& devices;           // a GPU that does not start is noted as lost
    int place;                     // among the ranks of this machine
    bool by_workers;               // processes of this run's own train
    int at_once;                   // trials that a worker trains, or a rank alone; 0: as many as make it faster
    FrontDesk& desk;               // rank 0's
    NewsDesk& by_mail;             // the others'
    std::span<const Found> found;  // of each trial, before any training
    std::span<const double> step_costs;
    const NeedOrder& needs;
    std::filesystem::path crash_mark;  // of the journal
    StopRequest& stop;
    Tally& tally;
  };
  explicit SweepRounds(const Job& job)  // collective
      : job_(job), watch_(job.world, job.files, job.options.out), postponed_(job.trials.size(), Postponed::Untouched) {}

  // Each returns false, on all ranks: asked to stop.
  bool train_all(std::vector<std::size_t> left);        // each when what it needs has ended
  bool train_due(const std::vector<std::size_t>& due);  // under a rule: these, and what they let past a rung

 private:
  bool run_rounds(const std::vector<std::size_t>& left);
  bool run_round(int ranks, std::vector<std::size_t> list, InWorkElsewhere how, std::optional<int> at_once = {});
  bool run_workers(std::span<const std::size_t> list, InWorkElsewhere how, int at_once);
  void run_lanes(Tickets& tickets, std::span<const std::size_t> list, InWorkElsewhere how,
                 const TrialLanes::AtOnce& at_once);
  std::size_t most_trials(std::span<const std::size_t> list) const;
  TrialRunner::Job runner();
  NewsDesk& news() const;
  bool finish_round();
  void order(std::vector<std::size_t>& list) const;
  std::vector<std::size_t> take_postponed(Postponed why);

  Job job_;
  RoundWatch watch_;
  std::set<int> refused_;             // numbers of ranks for a trial of which this rank's GPU is unfit
  bool any_refused_ = false;          // on any rank
  std::vector<Postponed> postponed_;  // of each trial
  int settled_ = 0;                   // trials up to this depth wait for nobody any more
};

}  // namespace winnow
