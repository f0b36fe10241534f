#include "distributed/trainer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/clock.h"
#include "core/digest.h"
#include "core/error.h"
#include "distributed/agree.h"
#include "kernels/processor.h"

namespace winnow {
namespace {

constexpr std::uint64_t kNever = ~std::uint64_t{0};
constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

}  // namespace

Trainer::Trainer(TrainJob job)
    : job_(std::move(job)),
      network_(job_.build, job_.method, job_.train,
               compute_type(job_.train, job_.programs != nullptr ? job_.programs->device() : Device::Cpu),
               job_.threads),
      model_(network_.model(job_.rows(), Use::Train)),
      programs_(job_.programs != nullptr ? *job_.programs : own_programs_),
      params_(programs_.begin(model_, Optimizer::slots(job_.train))),
      source_(job_.data.train(job_.batch(), job_.seeds.data_order, job_.seeds.augment, job_.slice())),
      length_(run_length(job_.train, source_->batches_per_epoch())),
      schedule_(job_.train, length_),
      step_(std::in_place, job_, network_, programs_, *source_),
      evaluator_(job_, network_, programs_),
      prober_(job_, network_, programs_, *source_),
      recalibrator_(job_, network_, programs_, *source_),
      phases_(job_, params_, length_) {
  flush_denormals(job_.threads);
  if (programs_.device() != Device::Cpu) take_memory();
  job_.method.schedule(events_, length_);
}

Trainer::~Trainer() = default;

// A trial that does not fit into a device fails before its first step, where its ranks can still hear of it.
void Trainer::take_memory() {
  if (job_.method.touches().masks) params_.reserve_masks();
  evaluator_.prepare();
  step_->prepare_pixels();
  evaluator_.prepare_pixels();
}

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

double Trainer::observed(std::string_view name) const {
  const auto found = cursor_.observed.find(std::string(name));
  return found == cursor_.observed.end() ? std::numeric_limits<double>::quiet_NaN() : found->second;
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
  check_agreed(params_.mask_digest(), "have different masks");
  job_.observer.masks_changed(*this);
}

void Trainer::check_agreed(std::uint64_t digest, const char* what) {
  if (job_.comm.size() == 1 || same_on_all(job_.comm, digest)) return;
  fail(ErrorKind::Internal, "the ranks of this trial {} at step {}", what, cursor_.step);
}

void Trainer::forget_programs() {
  cursor_ = cursor();  // what the reducer has counted
  larger_ = memory_bytes();
  step_.reset();
  evaluator_.forget_program();
  prober_.clear();
}

void Trainer::remove_channels(std::span<const std::int64_t> groups) {
  if (params_.gradients_visible()) fail(ErrorKind::Internal, "channels are removed between gradients and their update");
  if (groups.empty()) return;
  Digest digest;
  digest.add(groups);
  check_agreed(digest.value(), "remove different channels");
  const ChannelCut cut = network_.remove_channels(groups);
  const Model before = std::exchange(model_, network_.model(job_.rows(), Use::Train));
  forget_programs();
  programs_.gather(model_, cut);
  phases_.gather(before, model_, cut);
  step_.emplace(job_, network_, programs_, *source_);
  step_->enter_phase(std::max(cursor_.phase, 0));
  evaluated_ = kNever;
  job_.observer.network_changed(model_, cut);
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
  step_->rest(now);
}

std::span<const double> Trainer::rate_factors() {
  rate_factors_.resize(params_.size());
  for (std::size_t p = 0; p < rate_factors_.size(); ++p) {
    rate_factors_[p] = job_.method.rate(ParamId(p), cursor_.step, length_);
  }
  return rate_factors_;
}

StepReport Trainer::begin_step() {
  rest();
  StepReport report{.learning_rate = learning_rate(),
                    .dense_gradients = !cursor_.again && events_.dense_gradients.contains(cursor_.step),
                    .phase = cursor_.phase,
                    .passes = step_->passes()};
  step_->gradients(cursor_.batches++, cursor_.step, report.dense_gradients);
  return report;
}

void Trainer::take_result(StepReport& report, TrainingStep::Result&& result) {
  report.loss = result.loss;
  report.accuracy = result.accuracy;
  report.losses = std::move(result.losses);
  report.diverged = !result.finite;
}

void Trainer::update(const StepReport& report) {
  step_->update(report.learning_rate, ++cursor_.updates, rate_factors());
  ++cursor_.step;
  cursor_.again = false;
}

StepReport Trainer::train_step() {
  StepReport report = begin_step();
  take_result(report, std::move(step_->results().at(0)));
  report.updated = !report.diverged;
  if (report.updated && events_.after_backward.contains(cursor_.step)) {
    cursor_.again = notify(When::AfterBackward, true) == Verdict::SkipUpdate;
    report.updated = !cursor_.again;
    cursor_.skipped += cursor_.again ? 1 : 0;
  }
  if (report.updated) {
    update(report);
    report.diverged = step_->status().not_finite != 0;
    if (!report.diverged && events_.after_step.contains(cursor_.step)) notify(When::AfterStep);
  }
  report.step = cursor_.step;
  return report;
}

StepReport Trainer::queue_step() {
  StepReport report = begin_step();
  update(report);
  report.step = cursor_.step;
  queued_.push_back(report);
  return report;
}

// Whether the host looks at what the coming step leaves, or changes the program that does it.
bool Trainer::acts_in_step() const {
  const std::int64_t step = cursor_.step;
  return cursor_.again || events_.after_backward.contains(step) || events_.after_step.contains(step + 1) ||
         (step > 0 && !events_.resting.empty() && events_.resting_at(step) != events_.resting_at(step - 1));
}

// False: training diverged in it.
bool Trainer::finish_step(const StepReport& report) {
  job_.observer.step_done(report);
  if (report.diverged) return false;
  cursor_.sums.loss += report.loss;
  cursor_.sums.accuracy += report.accuracy;
  ++cursor_.sums.batches;
  cursor_.sums.losses.resize(report.losses.size(), 0.0);
  for (std::size_t i = 0; i < report.losses.size(); ++i) cursor_.sums.losses[i] += report.losses[i];
  return true;
}

// Waits for the steps that are queued. False: training diverged in one of them. Those behind it have changed nothing but
// the cursor, which goes back.
bool Trainer::settle() {
  std::vector<StepReport> reports = std::exchange(queued_, {});
  if (reports.empty()) return true;
  const double start = seconds_now();
  std::vector<TrainingStep::Result> results = step_->results();
  const RunStatus status = step_->status();
  cursor_.seconds += seconds_now() - start;
  for (std::size_t i = 0; i < reports.size(); ++i) {
    StepReport& report = reports[i];
    take_result(report, std::move(results.at(i)));
    if (report.diverged) {
      report.updated = false;
      --report.step;
    } else if (status.not_finite != 0 && status.since + 1 == report.step) {
      report.diverged = true;  // in its update
    }
    if (finish_step(report)) continue;
    cursor_.batches -= static_cast<std::int64_t>(reports.size() - 1 - i);
    cursor_.updates -= cursor_.step - report.step;
    cursor_.step = report.step;
    return false;
  }
  return true;
}

double Trainer::rate_at(std::int64_t step) const {
  return phase_.learning_rate ? phase_.learning_rate(step - phase_.first_step) : schedule_.at(step);
}

void Trainer::recalibrate(std::int64_t batches) {
  check_masks();  // what it costs depends on them
  recalibrator_.recalibrate(cursor_.batches, batches, cursor_.step);
}

// All ranks wish the same at the same step, with nothing queued any more. Whoever stops gives up the group of devices, and
// must not while the device of another rank is still in the sums of the last steps: so they meet here, and on no error's way out.
void Trainer::obey(Wish wish) {
  if (wish == Wish::GoOn) return;
  if (job_.devices != nullptr) check_agreed(static_cast<std::uint64_t>(cursor_.step), "stop at different steps");
  job_.observer.save_run([this](StateWriter& out) { save(out); }, wish);
  if (wish == Wish::Stop) throw Error(ErrorKind::Stopped, "stopped on request");
}

void Trainer::report_epoch() {
  const double start = seconds_now();
  sync_buffers();
  EpochReport report;
  const bool trained = cursor_.sums.batches > 0;
  const auto mean = [&](double sum) { return trained ? sum / static_cast<double>(cursor_.sums.batches) : kNothing; };
  report.step = cursor_.step;
  report.epoch = static_cast<double>(cursor_.step) / static_cast<double>(length_.steps_per_epoch);
  report.phase = cursor_.phase;
  report.train_loss = mean(cursor_.sums.loss);
  report.train_accuracy = mean(cursor_.sums.accuracy);
  for (const double sum : cursor_.sums.losses) report.losses.push_back(mean(sum));
  report.learning_rate = trained ? rate_at(std::max<std::int64_t>(cursor_.step - 1, phase_.first_step)) : kNothing;
  report.validation = evaluate(Split::Validation);
  report.test = evaluate(Split::Test);
  evaluated_ = params_.changes();
  cursor_.test_loss = report.test.loss;
  cursor_.observed = report.test.observed;
  report.train_seconds = cursor_.seconds;
  report.eval_seconds = seconds_now() - start;
  cursor_.seconds = 0;
  cursor_.sums = {};
  job_.observer.epoch_done(report);
}

void Trainer::start_phase(int index) {
  phase_ = phases_.phase(index).value();
  evaluated_ = params_.changes();
  phases_.enter(phase_);
  cursor_.phase = index;
  cursor_.ended = false;
  cursor_.step = cursor_.batches = phase_.first_step;
  cursor_.again = false;
  cursor_.sums = {};
  if (phase_.reset_optimizer) cursor_.updates = 0;
  step_->enter_phase(index);
  notify(When::Begin);
  prober_.clear();
  job_.observer.phase_started(phase_, *this);
}

bool Trainer::run_phase() {
  const std::int64_t every = job_.train.integer("eval_every") * length_.steps_per_epoch;
  while (cursor_.step < phase_.last_step) {
    const bool queues = step_->queues() && !acts_in_step();
    const bool snapshot = phases_.wants_snapshot(phase_, cursor_.step);
    const Wish wish = job_.observer.wish();
    if ((!queues || snapshot || wish != Wish::GoOn || queued_.size() == TrainingStep::kMostQueued) && !settle())
      return false;
    if (snapshot) {
      sync_buffers();
      phases_.keep_snapshot(cursor_.step);
    }
    obey(wish);
    job_.observer.step_started();
    const double start = seconds_now();
    const StepReport report = queues ? queue_step() : train_step();
    cursor_.seconds += seconds_now() - start;
    if (!queues && !finish_step(report)) return false;
    if (!report.updated) continue;
    const bool epoch_ends = cursor_.step % length_.steps_per_epoch == 0, phase_ends = cursor_.step == phase_.last_step;
    if ((epoch_ends || phase_ends) && !settle()) return false;
    if (cursor_.step % every == 0 || phase_ends) report_epoch();
    if (epoch_ends) notify(When::EpochEnd);
  }
  notify(When::PhaseEnd);
  const std::optional<Phase> next = phases_.phase(cursor_.phase + 1);
  const bool goes_on = !next || next->start == Phase::Start::Continue;
  if (params_.changes() != evaluated_ && goes_on) report_epoch();
  cursor_.ended = true;
  // The last update can be the one that goes too far; only the evaluation after it shows that.
  return std::isfinite(cursor_.test_loss);
}

// A form of a derived weight must decode to what its layer reads.
void Trainer::check_derived_form(const ParamSpec& spec, const std::vector<float>& decoded) {
  const std::vector<LayerWeight> effective = effective_weights();
  const auto read = std::ranges::find(effective, spec.layer, &LayerWeight::layer);
  if (read == effective.end() || read->shape != spec.shape || read->values != decoded) {
    fail(ErrorKind::Internal,
         "the stored form of '{}' decodes to other values than those that layer '{}' computes with", spec.name,
         spec.layer);
  }
}

// What is stored is what is evaluated: the decoded values take the place of the trained ones.
void Trainer::encode_weights() {
  bool replaced = false;
  for (std::size_t p = 0; p < params_.size(); ++p) {
    const ParamId id{static_cast<std::uint32_t>(p)};
    const ParamSpec& spec = params_.specs()[p];
    if (spec.retired) continue;
    std::optional<Encoded> encoded = job_.method.encode(id, params_);
    if (!encoded) continue;
    const std::vector<float> decoded = decode(*encoded, spec.shape, params_.mask(id, MaskKind::Keep));
    if (spec.derived) {
      check_derived_form(spec, decoded);
    } else {
      std::ranges::copy(decoded, params_.change(id).begin());
      replaced = true;
    }
    encoded_.emplace(id, std::move(*encoded));
  }
  if (!replaced) return;
  job_.observer.weights_replaced(*this);
  report_epoch();
}

Trainer::Outcome Trainer::run() {
  Outcome outcome;
  if (cursor_.phase < 0) start_phase(0);
  if (!cursor_.ended) outcome.diverged = !run_phase();
  while (!outcome.diverged && phases_.phase(cursor_.phase + 1)) {
    obey(job_.observer.wish());
    start_phase(cursor_.phase + 1);
    outcome.diverged = !run_phase();
  }
  if (!outcome.diverged) {
    encode_weights();
    outcome.diverged = !std::isfinite(cursor_.test_loss);
  }
  sync_buffers();
  const bool diverged = outcome.diverged;
  outcome = so_far();
  outcome.diverged = diverged;
  return outcome;
}

Trainer::Outcome Trainer::so_far() {
  Outcome outcome;
  const RunStatus status = step_->status();
  outcome.step = status.not_finite != 0 ? status.since : cursor_.step;
  outcome.skipped = cursor_.skipped;
  const Cursor end = cursor();
  outcome.bytes_sent = end.bytes_sent;
  outcome.bytes_dense = end.bytes_dense;
  return outcome;
}

std::size_t Trainer::memory_bytes() const {
  return std::max(larger_, params_.bytes() + step_->memory_bytes() + evaluator_.memory_bytes());
}

Cursor Trainer::cursor() const {
  Cursor now = cursor_;
  if (!step_) return now;
  now.bytes_sent += step_->bytes_sent();
  now.bytes_dense += step_->bytes_dense();
  return now;
}

void Trainer::save(StateWriter& out) const {
  params_.save(out);
  const auto save_part = [&out](const char* name, const auto& part) {
    PrefixWriter own(out, name);
    part.save(own);
  };
  save_part("network", network_);
  save_part("cursor", cursor());
  save_part("phases", phases_);
  save_part("method", job_.method);
  save_part("observer", job_.observer);
}

void Trainer::load(StateReader& in) {
  PrefixReader of_network(in, "network"), of_cursor(in, "cursor"), of_phases(in, "phases"), of_method(in, "method"),
      of_observer(in, "observer");
  if (network_.load(of_network)) {
    model_ = network_.model(job_.rows(), Use::Train);
    forget_programs();
    programs_.begin(model_, Optimizer::slots(job_.train));
    step_.emplace(job_, network_, programs_, *source_);
    job_.observer.network_changed(model_, {});
  }
  params_.load(in);
  cursor_.load(of_cursor);
  step_->enter_phase(std::max(cursor_.phase, 0));
  phases_.load(of_phases);
  job_.method.load(of_method);
  job_.observer.load(of_observer, *this);
  step_->clear_status();
  if (cursor_.phase >= 0) phase_ = phases_.phase(cursor_.phase).value();
  mask_revision_seen_ = params_.mask_revision();
  evaluated_ = params_.changes();
}

}  // namespace winnow
