// Trains one trial on one rank of its group: phases of the method, steps, events, evaluation. All
// ranks of the group run the same Trainer on their slice of each batch. The parts do the work
// (TrainingStep, Evaluator, Prober, Phases); this class puts them in order and is what a method
// sees of the run. Owns parameters and parts; borrows what the job borrows. One thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/train_settings.h"
#include "distributed/cursor.h"
#include "distributed/evaluator.h"
#include "distributed/phases.h"
#include "distributed/prober.h"
#include "distributed/recalibrator.h"
#include "distributed/train_job.h"
#include "distributed/training_step.h"

namespace winnow {

class Trainer final : public TrainState {
 public:
  explicit Trainer(TrainJob job);
  ~Trainer() override;
  // The parts borrow from it, so it stays where it is.
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  struct Outcome {
    bool diverged = false;
    std::int64_t step = 0;     // where it ended
    std::int64_t skipped = 0;  // batches without an update
    std::int64_t bytes_sent = 0, bytes_dense = 0;
  };
  // From where the cursor stands: the beginning, or where load() put it. Error{Stopped} when the observer wishes it,
  // before a step; save() then gives the state that a later run goes on from.
  Outcome run();
  Outcome so_far();  // of a run that was stopped

  Evaluation evaluate(Split split) { return evaluator_.evaluate(split); }
  const Network& network() const { return network_; }
  const Model& model() const { return model_; }
  // By parameter, those that the method stores in a form of its own; after run().
  const std::map<ParamId, Encoded>& encoded() const { return encoded_; }
  std::size_t memory_bytes() const;  // parameters, state, planned activations and scratch of this rank, at most so far
  Program& training_program() { return step_->program(); }
  // Of the training program in which nothing rests.
  const FusedStatistics& fused_statistics() const { return step_->statistics(); }
  // What is left of the tensors that model and method build; empty: all (TrainState::remove_channels).
  const ChannelCut& kept() const { return network_.kept(); }

  Cursor cursor() const;  // where it stands

  // All that a later run of the same job needs to go on exactly here, bit for bit: parameters, slots, masks, the
  // cursor, snapshots to go back to, and what method and observer keep. Between two steps.
  void save(StateWriter&) const;
  void load(StateReader&);  // Error{Input} for the state of another job
  // One batch: forward, backward, reduction, events, update. Public for tests and benchmarks.
  StepReport train_step();
  void start_phase(int index);  // the phase must exist

  std::int64_t step() const override { return cursor_.step; }
  const RunLength& length() const override { return length_; }
  double learning_rate() const override { return rate_at(cursor_.step); }
  std::vector<ParamId> resting() const override { return events_.resting_at(cursor_.step); }
  ParamStore& params() override { return params_; }
  std::vector<ParamId> prunable() const override;
  ProbeResult probe(const ProbeRequest& request) override { return prober_.probe(request, cursor_.step); }
  void recalibrate(std::int64_t batches) override;
  std::vector<LayerWeight> effective_weights() override { return network_.effective_weights(params_); }
  double observed(std::string_view name) const override;
  ChannelGroups channel_groups() const override { return ChannelGroups(model_); }
  void remove_channels(std::span<const std::int64_t> groups) override;
  RngKey rng(std::string_view stream) const override;
  void log(std::string_view what, std::string_view layer, double value) override;

 private:
  void take_memory();
  Verdict notify(When when, bool gradients = false);
  void check_masks();
  void check_agreed(std::uint64_t digest, const char* what);
  void forget_programs();
  void rest();
  std::span<const double> rate_factors();
  void sync_buffers();
  double rate_at(std::int64_t step) const;
  void obey(Wish wish);
  void report_epoch();
  bool run_phase();  // the present one; false: it diverged
  StepReport begin_step();
  void update(const StepReport& report);
  StepReport queue_step();
  static void take_result(StepReport& report, TrainingStep::Result&& result);
  bool acts_in_step() const;
  bool finish_step(const StepReport& report);
  bool settle();
  void encode_weights();
  void check_derived_form(const ParamSpec& spec, const std::vector<float>& decoded);

  TrainJob job_;
  Network network_;
  Model model_;                // at this rank's training batch, with the method's edits
  ProgramCache own_programs_;  // unless the job brings some
  ProgramCache& programs_;
  ParamStore& params_;
  std::unique_ptr<BatchSource> source_;
  RunLength length_;
  LearningRate schedule_;
  EventPlan events_;
  std::optional<TrainingStep> step_;  // made anew when the network is another one
  Evaluator evaluator_;
  Prober prober_;
  Recalibrator recalibrator_;
  Phases phases_;
  Phase phase_;  // the present one
  Cursor cursor_;
  std::vector<StepReport> queued_;    // of steps that a device has still to do, in order
  std::vector<double> rate_factors_;  // of the coming update, by ParamId
  std::uint64_t mask_revision_seen_ = 0;
  std::uint64_t evaluated_ = 0;  // ParamStore::changes() at the last evaluation, or before the present phase
  std::map<ParamId, Encoded> encoded_;
  std::size_t larger_ = 0;  // memory while there were more channels
};

}  // namespace winnow
