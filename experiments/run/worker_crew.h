// A round of trials trained by processes of this run's own. What a worker's death leaves undone is settled here: its trial
// is recorded as failed. One thread; borrows all it is given.
#pragma once

#include <cstdint>
#include <span>

#include "experiments/results/files.h"
#include "experiments/run/run_sweep.h"
#include "experiments/run/shared_board.h"
#include "experiments/run/sweep_state.h"
#include "experiments/run/trial_news.h"
#include "experiments/run/trial_runner.h"
#include "experiments/run/worker_pool.h"
#include "experiments/trial_table.h"

namespace winnow {

class WorkerCrew {
 public:
  struct Job {
    const TrialTable& trials;
    const RunOptions& options;
    int threads;  // of each worker
    const RunDevices& devices;
    const std::string& sweep_text;
    bool read_ahead;  // it has a core left for preparing batches
    Files& files;
    FrontDesk& desk;
    Tally& tally;
    std::span<Postponed> postponed;  // by trial
    std::span<const int> depths;     // as in TrialRunner::Job
    int settled;
  };
  // `counters`: of TrialDraw for the list that is to be run.
  WorkerCrew(const Job& job, int workers, std::size_t counters)
      : job_(job), board_(workers, job.trials.size(), counters), workers_(workers) {}

  // False: asked to stop. Throws what kept a worker from going on and is not the fault of its trial.
  bool run(std::span<const std::size_t> list, InWorkElsewhere how);

 private:
  void work(int worker, std::span<const std::size_t> list, InWorkElsewhere how);
  void lose(const WorkerDeath& death);

  Job job_;
  SharedBoard board_;
  int workers_;
  int died_idle_ = 0;  // with no trial in hand
};

}  // namespace winnow
