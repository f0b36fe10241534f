// Trains one trial and says how it went. The firewall of a sweep: whatever std::exception is thrown inside
// becomes an Outcome with a reason, except a request to stop and a failure that leaves other ranks waiting.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "core/error.h"
#include "core/needed.h"
#include "distributed/communicator.h"
#include "distributed/device_ranks.h"
#include "distributed/trainer.h"
#include "experiments/run/trial_checkpoints.h"
#include "experiments/trial.h"

namespace winnow {

struct TrialProgress {
  std::int64_t step = 0, steps = 0;
  double epoch = 0, train_loss = 0, test_accuracy = -1;  // -1: not evaluated yet
  double images_per_second = 0;
};

// A group whose ranks have a GPU each, and how they sum there: opened by the first trial that needs it, for all trials of the
// group, which must outlive it. Made and used by the thread that trains.
class GroupDevices {
 public:
  GroupDevices() = default;
  ~GroupDevices();
  GroupDevices(const GroupDevices&) = delete;
  GroupDevices& operator=(const GroupDevices&) = delete;

  // Collective. Null where sums go through the host: a single rank, no GPU, no NCCL. UnfitDevices on all ranks alike where they
  // cannot make a group.
  DeviceRanks* open(Communicator& group, std::optional<int> gpu);

 private:
  std::unique_ptr<DeviceRanks> ranks_;
  ProgramCache* programs_ = nullptr;  // what they recorded must end before the group does
};

struct RunTrialOptions {
  int threads = 1;
  std::optional<int> gpu = {};      // that trains; nothing: the CPU
  GroupDevices* devices = nullptr;  // of the group; nothing: several ranks sum through the host
  bool read_ahead = false;          // a core is left over for preparing batches
  std::string command_line;
  std::string sweep_text;                                   // the sweep file with all that it extends
  std::function<void(const TrialProgress&)> progress = {};  // called on rank 0 of the group, at every step
  std::function<bool()> stop_requested = {};
  // Where it is evaluated after so many epochs first, the trial is saved and left, as Outcome::Stopped. The same on all ranks.
  std::optional<std::int64_t> leave_after = {};
  std::function<void()> memory_taken = {};  // it holds what it needs of memory to train
  // The GPU has no room for the trial, which holds nothing of it now. True: it may fit now. Nothing: it never will.
  std::function<bool()> wait_for_room = {};
  std::function<Needed(const TrialNeed&)> needed = {};  // the finished trials that this one needs
  const CheckpointPlace* checkpoints = nullptr;         // nothing: it always begins, and a stop loses it
};

// The GPU has failed in this process for good: no other trial can be trained on it here.
struct DeviceLost : Error {
  using Error::Error;
};

// The GPU could not be used from the start: no trial is to blame.
struct GpuDoesNotStart : Error {
  using Error::Error;
};

// Starts the GPU for this thread, which keeps it for all its trials. Throws GpuDoesNotStart{Unavailable}.
void open_gpu(int gpu);
// What the trial will hold on its GPU, by plan, and what libraries may ask for besides.
std::size_t planned_gpu_bytes(const TrialSpec& spec);
// Gives back what this thread keeps on a GPU of its last trial.
void release_gpu_memory();

// From the trial's newest checkpoint, if there is one. Collective over `group`; the result is complete on its rank 0. Throws
// Error{Stopped} when asked to stop, DeviceLost, UnfitDevices (on all ranks), and in a group whatever one rank alone throws while it trains.
TrialResult run_trial(const TrialSpec& spec, Communicator& group, const RunTrialOptions& options);

}  // namespace winnow
