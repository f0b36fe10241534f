// What a training run tells whoever listens: plain reports, and the interface they come through.
// Every rank tells its own observer the same; an observer must not change anything. What it has gathered is part of
// a saved run, so that a run that goes on reports what the whole one would have.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/method.h"

namespace winnow {

struct Evaluation {
  double loss = 0, accuracy = 0, top5 = 0;
  std::int64_t examples = 0;
};

struct StepReport {
  std::int64_t step = 0;  // updates applied after this step
  double loss = 0, accuracy = 0, learning_rate = 0;
  bool updated = true;    // false: the batch changed masks in place of weights
  bool diverged = false;  // a loss, weight or running statistic became infinite or NaN in this step
  bool dense_gradients = false;
  int phase = 0;
  int passes = 1;  // forward and backward, over the batch; the gradients of the last are those of the update
};

struct EpochReport {
  std::int64_t step = 0;
  double epoch = 0;  // step / steps_per_epoch
  int phase = 0;
  double train_loss = 0, train_accuracy = 0, learning_rate = 0;
  Evaluation validation, test;
  double train_seconds = 0, eval_seconds = 0;  // since the last report
};

class TrainObserver {
 public:
  virtual ~TrainObserver() = default;
  virtual void phase_started(const Phase&, TrainState&) {}  // masks and start values are in place
  virtual void masks_changed(TrainState&) {}
  virtual void resting_changed(TrainState&) {}  // of the step that begins; see EventPlan::resting
  virtual void step_started() {}                // with the masks it computes with; its end may change them
  virtual void step_done(const StepReport&) {}
  virtual void epoch_done(const EpochReport&) {}
  virtual void event(std::int64_t /*step*/, std::string_view /*what*/, std::string_view /*layer*/, double /*value*/) {}
  virtual void probed(std::int64_t /*examples*/) {}  // forward and backward outside training
  virtual void working() {}                          // between batches of evaluation and scoring
  virtual bool stop_requested() { return false; }    // asked before every step; then run() throws Error{Stopped}
  virtual void save(StateWriter&) const {}
  virtual void load(StateReader&, TrainState&) {}  // the state is that of the run that goes on
};

}  // namespace winnow
