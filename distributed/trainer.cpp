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
      programs_(job_.programs != nullptr ? *job_.programs : own_programs_),
      params_(programs_.begin(model_, Optimizer::slots(job_.train))),
      source_(job_.data.train(job_.batch(), job_.seeds.data_order, job_.seeds.augment, job_.slice())),
      length_(run_length(job_.train, source_->batches_per_epoch())),
      schedule_(job_.train, length_),
      step_(job_, network_, programs_, *source_),
      evaluator_(job_, network_, programs_),
      prober_(job_, network_, programs_, *source_),
      phases_(job_, params_, length_) {
  flush_denormals(job_.threads);
  job_.method.schedule(events_, length_);
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

Verdict Trainer::notify(When when, bool gradients) {
  const Moment moment{when, cursor_.step, cursor_.step / length_.steps_per_epoch, cursor_.phase};
  params_.enter_event(fmt::format("at {}", name_of(when)), gradients);
  const Verdict verdict = job_.method.on_event(moment, *this);
  params_.enter_event("outside an event", false);
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
    const auto values = params_.change_buffer(b);
    std::vector<double> sum(values.begin(), values.end());
    job_.comm.all_reduce_sum(std::span(sum));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(sum[i] / job_.comm.size());
  }
}

// Whether the set changes is a function of the step, so that a run that goes on here does the same. A normalisation
// that rests uses statistics that all ranks share.
void Trainer::rest() {
  if (events_.resting.empty()) return;
  const std::vector<ParamId> now = resting();
  if (cursor_.step > 0 && !cursor_.again && now != events_.resting_at(cursor_.step - 1)) {
    sync_buffers();
    job_.observer.resting_changed(*this);
  }
  step_.rest(now);
}

std::span<const double> Trainer::rate_factors() {
  rate_factors_.resize(params_.size());
  for (std::size_t p = 0; p < rate_factors_.size(); ++p) {
    rate_factors_[p] = job_.method.rate(ParamId(p), cursor_.step, length_);
  }
  return rate_factors_;
}

StepReport Trainer::train_step() {
  rest();
  StepReport report{.learning_rate = learning_rate(),
                    .dense_gradients = !cursor_.again && events_.dense_gradients.contains(cursor_.step),
                    .phase = cursor_.phase,
                    .passes = step_.passes()};
  const TrainingStep::Result batch = step_.gradients(cursor_.batches++, cursor_.step, report.dense_gradients);
  report.loss = batch.loss;
  report.accuracy = batch.accuracy;
  report.diverged = step_.status().not_finite != 0;
  report.updated = !report.diverged;
  if (report.updated && events_.after_backward.contains(cursor_.step)) {
    cursor_.again = notify(When::AfterBackward, true) == Verdict::SkipUpdate;
    report.updated = !cursor_.again;
    cursor_.skipped += cursor_.again ? 1 : 0;
  }
  if (report.updated) {
    step_.update(report.learning_rate, ++cursor_.updates, rate_factors());
    ++cursor_.step;
    cursor_.again = false;
    report.diverged = step_.status().not_finite != 0;
    if (!report.diverged && events_.after_step.contains(cursor_.step)) notify(When::AfterStep);
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
  cursor_.again = false;
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
  if (cursor_.phase < 0) start_phase(0);
  outcome.diverged = !run_phase(phases_.phase(cursor_.phase).value());
  while (!outcome.diverged && phases_.phase(cursor_.phase + 1)) {
    start_phase(cursor_.phase + 1);
    outcome.diverged = !run_phase(phases_.phase(cursor_.phase).value());
  }
  sync_buffers();
  const RunStatus& status = step_.status();
  outcome.step = status.not_finite != 0 ? status.since : cursor_.step;
  outcome.skipped = cursor_.skipped;
  const Cursor end = cursor();
  outcome.bytes_sent = end.bytes_sent;
  outcome.bytes_dense = end.bytes_dense;
  return outcome;
}

std::size_t Trainer::memory_bytes() const { return params_.bytes() + step_.memory_bytes() + evaluator_.memory_bytes(); }

Cursor Trainer::cursor() const {
  Cursor now = cursor_;
  now.bytes_sent += step_.bytes_sent();
  now.bytes_dense += step_.bytes_dense();
  return now;
}

void Trainer::save(StateWriter& out) const {
  params_.save(out);
  const auto save_part = [&out](const char* name, const auto& part) {
    PrefixWriter own(out, name);
    part.save(own);
  };
  save_part("cursor", cursor());
  save_part("phases", phases_);
  save_part("method", job_.method);
  save_part("observer", job_.observer);
}

void Trainer::load(StateReader& in) {
  params_.load(in);
  PrefixReader of_cursor(in, "cursor"), of_phases(in, "phases"), of_method(in, "method"), of_observer(in, "observer");
  cursor_.load(of_cursor);
  phases_.load(of_phases);
  job_.method.load(of_method);
  job_.observer.load(of_observer, *this);
  step_.status() = {};
  mask_revision_seen_ = params_.mask_revision();
}

}  // namespace winnow
