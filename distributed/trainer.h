// Trains one trial on one rank of its group: steps, schedule, events of the method, evaluation. All
// ranks of the group run the same Trainer on their slice of each batch. Owns parameters and
// programs; borrows the rest. One thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/batch.h"
#include "core/method.h"
#include "core/optimizer.h"
#include "core/seeds.h"
#include "core/train_settings.h"
#include "distributed/communicator.h"
#include "distributed/network.h"
#include "distributed/reducer.h"

namespace winnow {

struct Evaluation {
  double loss = 0, accuracy = 0, top5 = 0;
  std::int64_t examples = 0;
};

struct StepReport {
  std::int64_t step = 0;  // updates applied after this step
  double loss = 0, accuracy = 0, learning_rate = 0;
  bool updated = true;  // false: the batch changed masks in place of weights
  bool dense_gradients = false;
  int phase = 0;
};

struct EpochReport {
  std::int64_t step = 0;
  double epoch = 0;  // step / steps_per_epoch
  int phase = 0;
  double train_loss = 0, train_accuracy = 0, learning_rate = 0;
  Evaluation validation, test;
  double train_seconds = 0, eval_seconds = 0;  // since the last report
};

// Told what happens, on every rank; must not change anything.
class TrainObserver {
 public:
  virtual ~TrainObserver() = default;
  virtual void phase_started(const Phase&, TrainState&) {}  // masks and start values are in place
  virtual void masks_changed(TrainState&) {}
  virtual void step_done(const StepReport&) {}
  virtual void epoch_done(const EpochReport&) {}
  virtual void event(std::int64_t /*step*/, std::string_view /*what*/, std::string_view /*layer*/, double /*value*/) {}
  virtual void probed(std::int64_t /*examples*/) {}  // forward and backward outside training
  virtual void working() {}                          // between batches of evaluation and scoring
  virtual bool stop_requested() { return false; }    // then run() throws Error{Stopped}
};

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
};

class Trainer final : public TrainState {
 public:
  explicit Trainer(TrainJob job);
  ~Trainer() override;

  struct Outcome {
    bool diverged = false;
    std::int64_t step = 0;     // where it ended
    std::int64_t skipped = 0;  // batches without an update
    std::int64_t bytes_sent = 0, bytes_dense = 0;
  };
  Outcome run();

  Evaluation evaluate(Split split);
  const Network& network() const { return network_; }
  const Model& model() const { return model_; }
  std::size_t memory_bytes() const;  // parameters, state, planned activations and scratch of this rank
  Program& training_program() { return training_->program; }

  // All that a later run needs to go on exactly here: parameters, slots, masks, counters and the method's own state.
  void save(StateWriter&) const;
  void load(StateReader&);
  // One batch: forward, backward, reduction, events, update. Public for tests and benchmarks; run() calls it.
  StepReport train_step();
  void start_phase(int index);  // the phase must exist

  std::int64_t step() const override { return step_; }
  const RunLength& length() const override { return length_; }
  double learning_rate() const override { return schedule_.at(step_); }
  ParamStore& params() override { return params_; }
  std::vector<ParamId> prunable() const override;
  ProbeResult probe(const ProbeRequest&) override;
  std::vector<LayerWeight> effective_weights() override { return network_.effective_weights(params_); }
  RngKey rng(std::string_view stream) const override;
  void log(std::string_view what, std::string_view layer, double value) override;

 private:
  Verdict notify(When when);
  void check_masks();
  void sync_buffers();
  void report_epoch(double loss, double accuracy, std::int64_t batches);
  void run_phase(const Phase& phase);

  TrainJob job_;
  Network network_;
  Model model_;  // at this rank's training batch, with the method's edits
  ParamStore params_;
  std::unique_ptr<BatchSource> source_;
  RunLength length_;
  LearningRate schedule_;
  Optimizer optimizer_;
  EventPlan plan_;
  std::optional<CompiledNetwork> training_, evaluation_;
  std::map<std::string, CompiledNetwork> probes_;
  std::unique_ptr<Reducer> reducer_;
  std::map<std::int64_t, MemoryState> snapshots_;  // by step
  std::map<Split, std::unique_ptr<EvalSource>> eval_sources_;
  std::vector<ParamId> param_of_grad_;  // by value
  std::int64_t step_ = 0, batches_used_ = 0, skipped_ = 0;
  std::uint64_t mask_revision_seen_ = 0;
  int phase_index_ = 0;
  double train_seconds_ = 0;
  double last_loss_ = 0;  // of the newest evaluation
};

}  // namespace winnow
