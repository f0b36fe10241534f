// How a trial in progress is kept on disk: when, by which ranks, and what a later run of it goes on from. One file holds the
// states of all ranks of the group: that of rank 0, and of the others what differs. It is written by a thread of its own
// while training goes on. One object on each rank, used by the thread that trains; borrows what it is given.
#pragma once

#include <filesystem>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "core/state.h"
#include "distributed/communicator.h"
#include "distributed/train_observer.h"
#include "experiments/results/checkpoint_file.h"
#include "experiments/trial.h"

namespace winnow {

// Where a run keeps the checkpoints of its trials.
struct CheckpointPlace {
  Files& files;
  std::filesystem::path out;
  std::function<void(const std::string&)> say;        // a line about the trial for who looks at the run
  std::function<void(std::int64_t step)> saved = {};  // one is on disk; on other ranks than 0: it is about to be
};

class TrialCheckpoints {
 public:
  // `precision`: of the computation, as in CheckpointNote.
  TrialCheckpoints(const CheckpointPlace& place, const TrialSpec& spec, Communicator& group, std::string precision);
  ~TrialCheckpoints();
  TrialCheckpoints(const TrialCheckpoints&) = delete;
  TrialCheckpoints& operator=(const TrialCheckpoints&) = delete;

  // What this rank of the newest whole checkpoint goes on from; nothing: the trial begins. Collective. A checkpoint that
  // cannot be used is said, and none.
  std::optional<MemoryState> newest();
  void refuse(const std::string& why);  // says that what newest() gave does not fit: the trial begins

  bool due();  // by the clock of rank 0; not while the one before is still being written
  // Collective, between two steps. Returns at once, or, where the run is about to stop, when it is on disk. That it
  // cannot be written is said, and no error of the trial.
  void keep(const SaveRun& save, std::int64_t step, Wish wish);

  const std::vector<std::string>& attempts() const { return attempts_; }  // of the trial, this one last

 private:
  std::vector<std::byte> gather(const SaveRun& save);
  std::string unfit(const CheckpointNote& note) const;  // "": it can be used here
  std::optional<Checkpoint> read_newest();
  void begin_attempt(std::int64_t step);
  void end_write();

  CheckpointPlace place_;
  const TrialSpec& spec_;
  Communicator& group_;
  std::string precision_;
  double every_;  // s
  CheckpointFolder folder_;
  std::vector<std::string> attempts_;
  double kept_;                     // seconds_now() of the last one
  std::future<std::string> write_;  // what went wrong
  std::int64_t written_ = 0;        // the step that is being written
};

}  // namespace winnow
