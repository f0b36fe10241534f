// Running statistics of normalisations measured anew on a network that was changed: forward passes as
// in training, whose statistics are averaged over batches and ranks. Borrows all; not synchronised.
#pragma once

#include <cstdint>

#include "distributed/train_job.h"

namespace winnow {

class Recalibrator {
 public:
  Recalibrator(const TrainJob& job, const Network& network, ProgramCache& programs, BatchSource& source)
      : job_(job), network_(network), programs_(programs), params_(programs.params()), source_(source) {}

  // Collective. Batches `first` to first + batches - 1 of the training order; `step`: of the random streams.
  void recalibrate(std::int64_t first, std::int64_t batches, std::int64_t step);

 private:
  const TrainJob& job_;
  const Network& network_;
  ProgramCache& programs_;
  ParamStore& params_;
  BatchSource& source_;
};

}  // namespace winnow
