// The training runs of one trial: puts parameters where a run begins, and keeps the snapshots that
// later runs go back to. Owns the snapshots; borrows the rest. Not synchronised.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "core/state.h"
#include "distributed/train_job.h"

namespace winnow {

class Phases {
 public:
  Phases(const TrainJob& job, ParamStore& params, const RunLength& length)
      : job_(job), params_(params), length_(length) {}

  std::optional<Phase> phase(int index) const { return job_.method.phase(index, length_); }
  // Initial draw with the job's start values, or back to a snapshot, as the phase says; and fresh slots
  // if it says so. Error{Settings} for a start value that the model does not have.
  void enter(const Phase& phase);
  // Does a later phase go back to this step, and was it not kept before?
  bool wants_snapshot(const Phase& phase, std::int64_t step) const {
    return phase.snapshot == step && !snapshots_.contains(step);
  }
  void keep_snapshot(std::int64_t step) { params_.save(snapshots_[step], true, false); }
  void gather(const Model& before, const Model& now, const ChannelCut& cut);  // the snapshots lose channels, too
  void save(StateWriter& out) const;                                          // the snapshots
  void load(StateReader& in);

 private:
  void put_start_values();

  const TrainJob& job_;
  ParamStore& params_;
  const RunLength& length_;
  std::map<std::int64_t, MemoryState> snapshots_;  // by step
};

}  // namespace winnow
