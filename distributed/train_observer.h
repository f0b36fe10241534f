// What a training run tells whoever listens: plain reports, and the interface they come through.
// Every rank tells its own observer the same; an observer must not change anything. What it has gathered is part of
// a saved run, so that a run that goes on reports what the whole one would have.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/method.h"

namespace winnow {

struct Evaluation {
  double loss = 0, accuracy = 0, top5 = 0;
  std::int64_t examples = 0;
  std::map<std::string, double> observed = {};  // means of what the method observes
};

struct StepReport {
  std::int64_t step = 0;  // updates applied after this step
  double loss = 0, accuracy = 0, learning_rate = 0;
  std::vector<double> losses = {};  // the terms of Model::losses, as they are weighed
  bool updated = true;              // false: the batch changed masks in place of weights
  bool diverged = false;            // a loss, weight or running statistic became infinite or NaN in this step
  bool dense_gradients = false;
  int phase = 0;
  int passes = 1;  // forward and backward, over the batch; the gradients of the last are those of the update
};

struct EpochReport {
  std::int64_t step = 0;
  double epoch = 0;  // step / steps_per_epoch
  int phase = 0;
  double train_loss = 0, train_accuracy = 0, learning_rate = 0;  // NaN where nothing was trained since the last report
  std::vector<double> losses = {};                               // means of the terms of Model::losses
  Evaluation validation, test;
  double train_seconds = 0, eval_seconds = 0;  // since the last report
  bool trained() const { return !std::isnan(learning_rate); }
};

// What a run should do before it goes on.
enum class Wish : std::uint8_t { GoOn, Save, Stop };
// Writes all that a later run of the same job goes on from.
using SaveRun = std::function<void(StateWriter&)>;

class TrainObserver {
 public:
  virtual ~TrainObserver() = default;
  virtual void phase_started(const Phase&, TrainState&) {}  // masks and start values are in place
  virtual void masks_changed(TrainState&) {}
  virtual void weights_replaced(TrainState&) {}  // outside a step: what was evaluated before was another network
  // It has fewer channels: `cut` is what this leaves of each tensor, nothing where a run that goes on had them removed
  // before. masks_changed() follows.
  virtual void network_changed(const Model& /*now*/, const ChannelCut& /*cut*/) {}
  virtual void resting_changed(TrainState&) {}  // of the step that begins; see EventPlan::resting
  virtual void step_started() {}                // with the masks it computes with; its end may change them
  virtual void step_done(const StepReport&) {}
  virtual void epoch_done(const EpochReport&) {}
  virtual void event(std::int64_t /*step*/, std::string_view /*what*/, std::string_view /*layer*/, double /*value*/) {}
  virtual void probed(std::int64_t /*examples*/) {}        // forward and backward outside training
  virtual void recalibrated(std::int64_t /*examples*/) {}  // forward outside training, with the present masks
  virtual void working() {}                                // between batches of evaluation and scoring
  virtual Wish wish() { return Wish::GoOn; }               // asked before every step; the same on all ranks
  virtual void save_run(const SaveRun&, Wish) {}           // where the wish is to save or to stop, before run() does so
  virtual void save(StateWriter&) const {}
  virtual void load(StateReader&, TrainState&) {}  // the state is that of the run that goes on
};

}  // namespace winnow
