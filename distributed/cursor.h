// Where a training run stands: everything that counts on from step to step. A plain value.
#pragma once

#include <cstdint>

#include "core/state.h"

namespace winnow {

struct Cursor {
  int phase = -1;                                // training run of the trial; -1: none has begun
  bool ended = false;                            // it has ended, and the next has not begun
  std::int64_t step = 0;                         // updates applied, as the schedule of the phase counts them
  std::int64_t batches = 0;                      // batches of the training order that are used up, counted likewise
  std::int64_t skipped = 0;                      // of all phases, those used up without an update
  std::int64_t updates = 0;                      // since the optimiser's state was reset: Adam's bias correction
  std::int64_t bytes_sent = 0, bytes_dense = 0;  // of gradients, before the present process took over
  bool again = false;                            // the batch before was used up at this step without an update
  struct Sums {                                  // over the batches since the last report
    double loss = 0, accuracy = 0;
    std::int64_t batches = 0;
  } sums = {};
  double test_loss = 0;  // of the newest evaluation
  double seconds = 0;    // spent in training steps since the last report

  void save(StateWriter& out) const;
  void load(StateReader& in);
};

}  // namespace winnow
