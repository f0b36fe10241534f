// One process, or a thread of one, that draws trials of a sweep and trains them, alone or as a rank of a group: whether a trial is still free, how
// it ended, what is recorded and said of it. One thread; borrows all it is given.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "distributed/communicator.h"
#include "distributed/ranks_lost.h"
#include "experiments/results/files.h"
#include "experiments/run/devices.h"
#include "experiments/run/gpu_share.h"
#include "experiments/run/lane_meter.h"
#include "experiments/run/run_sweep.h"
#include "experiments/run/run_trial.h"
#include "experiments/run/rung_board.h"
#include "experiments/run/stop_request.h"
#include "experiments/run/sweep_state.h"
#include "experiments/run/trial_draw.h"
#include "experiments/run/trial_news.h"
#include "experiments/trial_table.h"

namespace winnow {

// What another run on the same directory has in work.
enum class InWorkElsewhere { Postpone, Train };

class TrialRunner {
 public:
  // What all threads of a process have in common.
  struct Job {
    const TrialTable& trials;
    const RunOptions& options;
    int threads;  // of a trial
    const RunDevices& devices;
    int place;  // of this process among those on its machine
    const std::string& sweep_text;
    bool read_ahead;  // it has a core left for preparing batches
    Files& files;
    std::span<Postponed> postponed;  // by trial
    std::span<const int> depths;     // as in TrialDraw::Job
    int settled;
    std::filesystem::path crash_mark = {};        // of this run, for CrashWatch
    const StopRule* rule = nullptr;               // that stops trials early
    const std::atomic<bool>* any_died = nullptr;  // as in TrialDraw::Job
    bool looked_after = false;                    // a worker: if it dies, another process settles what it had in hand
  };
  // What one of them has for itself.
  struct Own {
    NewsDesk& news;
    StopRequest& stop;
    Tally& tally;                                  // of the trials that it led
    std::atomic<std::int64_t>* in_hand = nullptr;  // the trial that is being trained, or -1
    // Of a thread that trains beside others on a GPU.
    GpuShare::Seat* seat = nullptr;
    LaneMeter* meter = nullptr;
  };
  TrialRunner(const Job& job, const Own& own) : job_(job), own_(own) {}

  // Draws from `list`, positions in `trials`, until no trial of it can be trained now or the run is to stop. Every rank of the group calls it.
  // Whatever it throws has left other ranks of the group waiting.
  void run(Communicator& group, Tickets& tickets, std::span<const std::size_t> list, InWorkElsewhere how);
  // A trial failed for the GPUs of its ranks, and run() left what else there was to other groups. The same on all ranks of the group.
  bool refused() const { return refused_; }

 private:
  bool is_free(std::size_t at, const TrialSpec& spec, Communicator& group, InWorkElsewhere how);
  bool is_given_up(std::size_t at, const TrialSpec& spec, Communicator& group);
  bool leader_finds_free(std::size_t at, const TrialSpec& spec, InWorkElsewhere how);
  bool wait_for_room(const std::function<void()>& meanwhile) const;
  void take_in_hand(std::int64_t at);
  std::unique_ptr<Draw> make_draw(Communicator& group, Tickets& tickets, std::span<const std::size_t> list);
  void draw_and_train(Draw& draw, Communicator& group, InWorkElsewhere how);
  void tell_decisions();
  void note_crash(std::size_t at, const RanksLost& error);
  void note_lost_device(const std::string& name, const std::exception& error);
  void end(const TrialNews& news);
  bool train(std::size_t at, const TrialSpec& spec, Communicator& group, std::int64_t until);
  TrialNews settle(const TrialSpec& spec, const TrialResult& result, TrialNews news);
  void leave(TrialResult& result, TrialNews news);
  TrialNews elsewhere(Found found, std::span<const std::string> problems, TrialNews news);

  Job job_;
  Own own_;
  std::optional<RungBoard> board_;  // of a leader under a rule
  GroupDevices devices_;
  bool refused_ = false;
  std::optional<std::size_t> last_;        // what a rank that ends may have in hand, its result perhaps not written yet
  bool trains_ = false;                    // this rank trains it
  std::uint64_t crashes_ = 0, saved_ = 0;  // of the trial in hand, so far; the step at which it was saved
};

}  // namespace winnow
