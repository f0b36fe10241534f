// A round of trials trained by processes of this run's own, each of which may train several at once on its GPU. What a
// worker's death leaves undone is settled here: its trial is recorded as failed. Of several nobody knows which one it was; they
// are Suspect, to be trained one at a time. One thread; borrows all it is given.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "experiments/results/files.h"
#include "experiments/results/progress_file.h"
#include "experiments/run/run_sweep.h"
#include "experiments/run/shared_board.h"
#include "experiments/run/still_workers.h"
#include "experiments/run/sweep_state.h"
#include "experiments/run/trial_lanes.h"
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
    int threads;          // of each worker
    RunDevices& devices;  // a GPU that does not start is noted as lost
    const std::string& sweep_text;
    bool read_ahead;  // it has a core left for preparing batches
    Files& files;
    FrontDesk& desk;
    Tally& tally;
    std::span<Postponed> postponed;      // by trial
    std::span<const double> step_costs;  // by trial: expected seconds of a step
    std::span<const int> depths;         // as in TrialRunner::Job
    int settled;
    const StopRule* rule = nullptr;
  };
  // `counters`: of TrialDraw for the list that is to be run.
  // `at_once`: by each worker.
  WorkerCrew(const Job& job, int workers, const TrialLanes::AtOnce& at_once, std::size_t counters)
      : job_(job), board_(workers, at_once.most, job.trials.size(), counters), workers_(workers), at_once_(at_once) {}
  virtual ~WorkerCrew() = default;
  WorkerCrew(const WorkerCrew&) = delete;
  WorkerCrew& operator=(const WorkerCrew&) = delete;

  // False: asked to stop. Throws what kept a worker from going on and is not the fault of its trial.
  // A worker whose GPU does not start leaves its trials to the others; the last one is an error, as is the last one that ended
  // again and again before it trained anything.
  bool run(std::span<const std::size_t> list, InWorkElsewhere how);

 protected:
  virtual std::unique_ptr<Tickets> tickets() { return board_.tickets(); }  // for a thread of a worker
  // Until it is said that a worker stands still: as long as its heartbeat counts for others.
  virtual std::chrono::seconds patience() const { return ProgressFile::kStale; }

 private:
  // Where a worker trains, by the numbers that GPUs have in its process.
  struct Here {
    RunDevices devices;
    int place;
  };
  Here look_around(int worker) const;
  void work(int worker, std::span<const std::size_t> list, InWorkElsewhere how);
  void train(int worker, const Here& here, std::span<const std::size_t> list, InWorkElsewhere how);
  void note_failure(const std::exception& error);
  WorkerPool::LastWords hear(int worker, const std::string& line);
  void say_of_still(const StillWorkers::Change& change);
  bool lose(const WorkerDeath& death);
  bool lose_idle(const WorkerDeath& death);
  bool is_undone(std::span<const std::size_t> list);
  bool is_settled(std::size_t at);
  void lose(std::size_t at, const WorkerDeath& death);
  void give_back_what_was_lost(std::span<const std::size_t> list);

  Job job_;
  SharedBoard board_;
  int workers_;
  TrialLanes::AtOnce at_once_;
  RunDevices devices_;                // of the workers that are there: lost ones keep their place
  std::vector<int> died_idle_;        // of each worker: with no trial in hand, since it last said something
  std::optional<Error> not_started_;  // why the last one is not started again
};

}  // namespace winnow
