#include "distributed/train_job.h"

#include "core/error.h"

namespace winnow {

std::int64_t TrainJob::rows() const {
  if (batch() % comm.size() != 0) {
    fail(ErrorKind::Settings, "train.batch: {} examples cannot be split evenly over {} ranks", batch(), comm.size());
  }
  return batch() / comm.size();
}

}  // namespace winnow
