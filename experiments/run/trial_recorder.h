// Listens to a training run and keeps what the result file shows: epoch, step and event tables, the
// multiply-adds of training at the densities of each step, and which weights were ever trained. One
// trial, one rank, one thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "distributed/trainer.h"
#include "experiments/accounting/layer_count.h"
#include "experiments/run/run_trial.h"
#include "experiments/trial.h"

namespace winnow {

class TrialRecorder final : public TrainObserver {
 public:
  // `dense`: the model without the method, `edited`: with it; any batch.
  TrialRecorder(const TrialSpec& spec, const Model& dense, Model edited, const RunTrialOptions& options,
                std::function<Wish()> wish);

  // Called once, when the first training run is about to begin.
  void at_start(std::function<void()> keep) { at_start_ = std::move(keep); }
  // Called when the run can be saved and is wished to be.
  void on_save(std::function<void(const SaveRun&, Wish)> keep) { on_save_ = std::move(keep); }

  void phase_started(const Phase& phase, TrainState& state) override;
  void masks_changed(TrainState& state) override;
  void weights_replaced(TrainState& state) override;
  void network_changed(const Model& now, const ChannelCut& cut) override;
  void resting_changed(TrainState& state) override;
  void step_started() override;
  void step_done(const StepReport& report) override;
  void epoch_done(const EpochReport& report) override;
  void event(std::int64_t step, std::string_view what, std::string_view layer, double value) override;
  void probed(std::int64_t examples) override;
  void recalibrated(std::int64_t examples) override;
  void working() override;
  Wish wish() override { return wish_ ? wish_() : Wish::GoOn; }
  void save_run(const SaveRun& save, Wish wish) override {
    if (on_save_) on_save_(save, wish);
  }
  void save(StateWriter& out) const override;  // all but what at_start() keeps, which its owner has
  void load(StateReader& in, TrainState& state) override;

  // It was evaluated after so many epochs, or later.
  bool has_reached(std::int64_t epochs) const;
  double epochs() const { return epochs_.empty() ? 0 : epochs_.back().epoch; }  // at the last evaluation
  const std::vector<std::string>& phases() const { return phases_; }            // names of those that have begun
  // Tables, and the summary values that follow from the course of training.
  void finish(TrialResult& result, const RunLength& length) const;

 private:
  struct Event {
    std::int64_t step;
    std::string what, layer;
    double value;
  };
  double seconds_so_far() const;
  std::int64_t measure_costs();  // and gives the number of prunable entries that are kept, by mask or by value
  void note_resting();           // what the parameters that rest cost no more
  StepReport no_steps() const { return {.losses = std::vector<double>(losses_.size(), 0.0)}; }
  void add_loss_columns(Table& table, const auto& rows) const;
  void fill_tables(TrialResult& result) const;
  double images_per_second(double seconds) const;
  void fill_accuracies(std::map<std::string, double>& summary) const;

  const RunTrialOptions& options_;
  std::function<Wish()> wish_;
  std::function<void()> at_start_;
  std::function<void(const SaveRun&, Wish)> on_save_;
  std::vector<std::string> losses_;  // names of the extra ones
  Model edited_;                     // as it is now
  std::vector<LayerCount> layers_;
  std::int64_t every_, batch_, steps_ = 0;
  double dense_macs_;             // of one inference of the dense model
  double teacher_macs_;           // of one inference of the network that this one learns from
  std::vector<ParamId> resting_;  // that layers_ and product_macs_ are of
  double product_macs_;           // of one step and image: see macs_of_product_steps()
  TrainState* state_ = nullptr;   // of the run that is recorded
  // Of a training step of one example: with the present masks, and with those that the step in progress computes
  // with, whatever its end does to them.
  struct StepMacs {
    double plain = 0, dense_gradients = 0, forward = 0;
  } macs_now_, macs_of_step_;
  double macs_ = 0, search_macs_ = 0;  // of training so far; of what came before the present phase
  std::vector<std::vector<char>> ever_trained_;
  std::int64_t dim_max_ = 0, dim_union_ = 0;
  std::vector<EpochReport> epochs_;
  std::vector<std::int64_t> kept_at_;  // by row of epochs_: see measure_costs()
  // Rows of epochs_ from here on are of the network as it is now: the same training run and the
  // same number of live weights.
  std::size_t comparable_ = 0;
  std::int64_t kept_ = -1, live_ = -1;
  std::vector<StepReport> rows_;  // of the step table: means over `every_` steps
  StepReport sum_;
  std::int64_t in_sum_ = 0;
  std::vector<Event> events_;
  std::vector<std::string> phases_;
  double train_seconds_ = 0, eval_seconds_ = 0;
  TrialProgress progress_;
  double started_, training_since_ = 0;  // seconds_now(); training begins with the first phase
  double seconds_before_ = 0;            // a stop
};

}  // namespace winnow
