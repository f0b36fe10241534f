// What one trial on one rank is trained from. Borrows all but the start values; a plain value.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/batch.h"
#include "core/method.h"
#include "core/seeds.h"
#include "distributed/communicator.h"
#include "distributed/device_ranks.h"
#include "distributed/network.h"
#include "distributed/train_observer.h"

namespace winnow {

struct TrainJob {
  BuildModel build;
  Method& method;
  Dataset& data;
  const Settings& train;  // resolved, keys without "train."
  TrialSeeds seeds;
  Communicator& comm;
  TrainObserver& observer;
  int threads = 1;
  // Start values by parameter or buffer name, used in place of the initial draw (init.from).
  std::map<std::string, std::vector<float>> start = {};
  ProgramCache* programs = nullptr;  // of the trials before this one; nothing: the trainer has its own
  DeviceRanks* devices = nullptr;    // of the ranks of `comm`; nothing: gradients go through the host and MPI

  std::int64_t batch() const { return train.integer("batch"); }  // examples of an update, over all ranks
  std::int64_t rows() const;  // of them, this rank's; Error{Settings} if the ranks cannot share them evenly
  Slice slice() const { return {comm.rank(), comm.size()}; }
};

}  // namespace winnow
