#include "distributed/trainer.h"

#include <algorithm>
#include <cmath>

#include "core/clock.h"
#include "core/error.h"
#include "kernels/processor.h"

namespace winnow {

Trainer::Trainer(TrainJob job)
    : job_(std::move(job)),
      network_(job_.build, job_.method, job_.train, compute_type(job_.train), job_.threads),
      model_(network_.model(job_.rows())),
      params_(model_, Optimizer::slots(job_.train)),
      source_(job_.data.train(job_.batch(), job_.seeds.data_order, job_.seeds.augment, job_.slice())),
      length_(run_length(job_.train, source_->batches_per_epoch())),
      schedule_(job_.train, length_),
      step_(job_, network_, params_, *source_),
      evaluator_(job_, network_, params_),
      prober_(job_, network_, params_, *source_),
      phases_(job_, model_, params_, length_) {
  flush_denormals(job_.threads);
  job_.method.schedule(plan_, length_);
}

Trainer::~Trainer() = default;

std::vector<ParamId> Trainer::prunable() const {
  std::vector<ParamId> ids;
  for (std::size_t p = 0; p < model_.params.size(); ++p) {
    if (model_.params[p].prunable && !model_.params[p].retired) ids.push_back(ParamId(p));
  }
  return ids;
}

RngKey Trainer::rng(std::string_view stream) const {
  return {job_.seeds.method, stream_id(stream), static_cast<std::uint32_t>(cursor_.step)};
}

void Trainer::log(std::string_view what, std::string_view layer, double value) {
  job_.observer.event(cursor_.step, what, layer, value);
}

Verdict Trainer::notify(When when) {
  const Moment moment{when, cursor_.step, cursor_.step / length_.steps_per_epoch, cursor_.phase};
  const Verdict verdict = job_.method.on_event(moment, *this);
  check_masks();
  return verdict;
}

// Masks are a pure function of equal inputs on all ranks; if they ever differ the run must not go on.
void Trainer::check_masks() {
  if (params_.mask_revision() == mask_revision_seen_) return;
  mask_revision_seen_ = params_.mask_revision();
  if (job_.comm.size() > 1) {
    const std::uint64_t digest = params_.mask_digest();
    std::uint64_t bounds[2] = {digest, ~digest};
    job_.comm.all_reduce_max(bounds);
    if (bounds[0] != digest || ~bounds[1] != digest) {
      fail(ErrorKind::Internal, "the ranks of this trial have different masks at step {}", cursor_.step);
    }
  }
  job_.observer.masks_changed(*this);
}

// Each rank has the batch statistics of its own rows; evaluation uses their mean.
void Trainer::sync_buffers() {
  if (job_.comm.size() == 1) return;
  for (std::size_t b = 0; b < params_.buffer_count(); ++b) {
    const auto values = params_.buffer(b);
    std::vector<double> sum(values.begin(), values.end());
    job_.comm.all_reduce_sum(std::span(sum));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(sum[i] / job_.comm.size());
  }
}

StepReport Trainer::train_step() {
  StepReport report{
      .learning_rate = learning_rate(), .dense_gradients = plan_.wants_dense(cursor_.step), .phase = cursor_.phase};
  const TrainingStep::Result batch = step_.gradients(cursor_.batches++, cursor_.step, report.dense_gradients);
  report.loss = batch.loss;
  report.accuracy = batch.accuracy;
  if (step_.status().not_finite != 0) {
    report.diverged = true;
    report.step = cursor_.step;
    report.updated = false;
    return report;
  }
  const bool act = plan_.wants_after_backward(cursor_.step);
  if (act && notify(When::AfterBackward) == Verdict::SkipUpdate) {
    report.updated = false;
    ++cursor_.skipped;
  } else {
    step_.update(report.learning_rate, ++cursor_.updates);
    ++cursor_.step;
    report.diverged = step_.status().not_finite != 0;
    if (!report.diverged && plan_.wants_after_step(cursor_.step)) notify(When::AfterStep);
  }
  report.step = cursor_.step;
  return report;
}

void Trainer::report_epoch() {
  const double start = seconds_now();
  sync_buffers();
  EpochReport report;
  const auto count = static_cast<double>(std::max<std::int64_t>(cursor_.sums.batches, 1));
  report.step = cursor_.step;
  report.epoch = static_cast<double>(cursor_.step) / static_cast<double>(length_.steps_per_epoch);
  report.phase = cursor_.phase;
  report.train_loss = cursor_.sums.loss / count;
  report.train_accuracy = cursor_.sums.accuracy / count;
  report.learning_rate = schedule_.at(std::max<std::int64_t>(cursor_.step - 1, 0));
  report.validation = evaluate(Split::Validation);
  report.test = evaluate(Split::Test);
  cursor_.test_loss = report.test.loss;
  report.train_seconds = cursor_.seconds;
  report.eval_seconds = seconds_now() - start;
  cursor_.seconds = 0;
  cursor_.sums = {};
  job_.observer.epoch_done(report);
}

void Trainer::start_phase(int index) {
  const Phase phase = phases_.phase(index).value();
  phases_.enter(phase);
  cursor_.phase = index;
  cursor_.step = cursor_.batches = phase.first_step;
  cursor_.sums = {};
  if (phase.reset_optimizer) cursor_.updates = 0;
  notify(When::Begin);
  prober_.clear();
  job_.observer.phase_started(phase, *this);
}

bool Trainer::run_phase(const Phase& phase) {
  const std::int64_t every = job_.train.integer("eval_every") * length_.steps_per_epoch;
  while (cursor_.step < phase.last_step) {
    if (phases_.wants_snapshot(phase, cursor_.step)) {
      sync_buffers();
      phases_.keep_snapshot(cursor_.step);
    }
    if (job_.observer.stop_requested()) throw Error(ErrorKind::Stopped, "stopped on request");
    job_.observer.step_started();
    const double start = seconds_now();
    const StepReport report = train_step();
    cursor_.seconds += seconds_now() - start;
    job_.observer.step_done(report);
    if (report.diverged) return false;
    cursor_.sums.loss += report.loss;
    cursor_.sums.accuracy += report.accuracy;
    ++cursor_.sums.batches;
    if (!report.updated) continue;
    if (cursor_.step % every == 0 || cursor_.step == phase.last_step) report_epoch();
    if (cursor_.step % length_.steps_per_epoch == 0) notify(When::EpochEnd);
  }
  notify(When::PhaseEnd);
  // The last update can be the one that goes too far; only the evaluation after it shows that.
  return std::isfinite(cursor_.test_loss);
}

Trainer::Outcome Trainer::run() {
  Outcome outcome;
  for (int index = 0; !outcome.diverged; ++index) {
    const auto phase = phases_.phase(index);
    if (!phase) break;
    start_phase(index);
    outcome.diverged = !run_phase(*phase);
  }
  sync_buffers();
  const RunStatus& status = step_.status();
  outcome.step = status.not_finite != 0 ? status.since : cursor_.step;
  outcome.skipped = cursor_.skipped;
  outcome.bytes_sent = step_.reducer().bytes_sent();
  outcome.bytes_dense = step_.reducer().bytes_dense();
  return outcome;
}

std::size_t Trainer::memory_bytes() const { return params_.bytes() + step_.memory_bytes() + evaluator_.memory_bytes(); }

void Trainer::save(StateWriter& writer) const {
  params_.save(writer);
  const std::int64_t counters[] = {cursor_.step, cursor_.batches, cursor_.skipped, cursor_.phase, cursor_.updates};
  writer.put_values<std::int64_t>("trainer/counters", counters);
  job_.method.save(writer);
}

void Trainer::load(StateReader& reader) {
  params_.load(reader);
  std::int64_t counters[5];
  reader.get_values<std::int64_t>("trainer/counters", counters);
  cursor_.step = counters[0];
  cursor_.batches = counters[1];
  cursor_.skipped = counters[2];
  cursor_.phase = static_cast<int>(counters[3]);
  cursor_.updates = counters[4];
  step_.status() = {};
  job_.method.load(reader);
  mask_revision_seen_ = params_.mask_revision();
}

}  // namespace winnow
