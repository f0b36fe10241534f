#include "distributed/trainer.h"

#include <chrono>
#include <cmath>

#include "core/error.h"
#include "kernels/cpu/denormals.h"

namespace winnow {
namespace {

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::int64_t rows_of(const TrainJob& job) {
  const std::int64_t batch = job.train.integer("batch");
  if (batch % job.comm.size() != 0) {
    fail(ErrorKind::Settings, "train.batch: {} examples cannot be split evenly over {} ranks", batch, job.comm.size());
  }
  return batch / job.comm.size();
}

Slice slice_of(const Communicator& comm) { return {comm.rank(), comm.size()}; }

}  // namespace

Trainer::Trainer(TrainJob job)
    : job_(std::move(job)),
      network_(job_.build, job_.method, job_.train, compute_type(job_.train), job_.threads),
      model_(network_.model(rows_of(job_))),
      params_(model_, Optimizer::slots(job_.train)),
      source_(
          job_.data.train(job_.train.integer("batch"), job_.seeds.data_order, job_.seeds.augment, slice_of(job_.comm))),
      length_(run_length(job_.train, source_->batches_per_epoch())),
      schedule_(job_.train, length_),
      optimizer_(job_.train, job_.threads) {
  cpu::flush_denormals(job_.threads);
  job_.method.schedule(plan_, length_);
  training_ = network_.training(rows_of(job_), job_.train.integer("batch"), params_);
  std::vector<ParamId> order;
  std::vector<ValueId> watched;
  for (const auto& [value, id] : training_->gradients) {
    order.push_back(id);
    watched.push_back(value);
    param_of_grad_.resize(std::max(param_of_grad_.size(), static_cast<std::size_t>(value) + 1));
    param_of_grad_[static_cast<std::size_t>(value)] = id;
  }
  reducer_ = std::make_unique<Reducer>(job_.comm, params_, std::move(order));
  if (job_.comm.size() > 1) {
    training_->program.watch(
        watched, [this](ValueId value) { reducer_->ready(param_of_grad_[static_cast<std::size_t>(value)]); });
  }
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
  return {job_.seeds.method, stream_id(stream), static_cast<std::uint32_t>(step_)};
}

void Trainer::log(std::string_view what, std::string_view layer, double value) {
  job_.observer.event(step_, what, layer, value);
}

ProbeResult Trainer::probe(const ProbeRequest& request) {
  const bool ones = request.input == ProbeRequest::Input::Ones;
  const std::int64_t rows = ones ? 1 : rows_of(job_);
  const std::string key = fmt::format("{}/{}/{}", ones, static_cast<int>(request.loss), static_cast<int>(request.norm));
  auto found = probes_.find(key);
  if (found == probes_.end()) {
    found = probes_.emplace(key, network_.probe(request, rows, ones ? 1 : job_.train.integer("batch"), params_)).first;
  }
  CompiledNetwork& net = found->second;
  for (std::size_t p = 0; p < params_.size(); ++p) {
    if (model_.params[p].retired) continue;
    const bool given = p < request.weights.size() && !request.weights[p].empty();
    net.program.bind(net.params[p],
                     given ? const_cast<float*>(request.weights[p].data()) : params_.weight(ParamId(p)).data());
  }
  std::vector<std::vector<float>> buffers;
  for (std::size_t b = 0; b < params_.buffer_count(); ++b) {
    const auto values = params_.buffer(b);
    auto& copy = buffers.emplace_back(values.begin(), values.end());
    if (request.absolute_buffers) {
      for (float& value : copy) value = std::fabs(value);
    }
    net.program.bind(net.buffers[b], copy.data());
  }
  ProbeResult result;
  result.grads.resize(params_.size());
  std::vector<std::vector<double>> sums(params_.size());
  Tensor one;
  for (std::int64_t b = 0; b < request.batches; ++b) {
    if (ones) {
      one = Tensor(DType::F32, model_.graph.value(model_.input).shape);
      std::ranges::fill(one.span<float>(), 1.0f);
      net.program.bind(net.images, one.as<float>());
    } else {
      const Batch& batch = source_->batch(request.first_batch + b);
      net.program.bind(net.images, batch.images.data);
      net.program.bind(net.labels, batch.labels.data);
    }
    net.program.run({.threads = job_.threads,
                     .seed = job_.seeds.dropout,
                     .step = static_cast<std::uint32_t>(step_),
                     .first_row = rows * job_.comm.rank(),
                     .update_statistics = false});
    job_.observer.working();
    result.loss += static_cast<double>(*net.program.view(net.loss).as<float>());
    for (const auto& [value, id] : net.gradients) {
      const auto grad = net.program.view(value).span<float>();
      auto& sum = sums[static_cast<std::size_t>(id)];
      sum.resize(grad.size());
      for (std::size_t i = 0; i < grad.size(); ++i) sum[i] += static_cast<double>(grad[i]);
    }
  }
  job_.observer.probed(ones ? request.batches : request.batches * job_.train.integer("batch"));
  const double batches = static_cast<double>(request.batches);
  if (!ones) job_.comm.all_reduce_sum(std::span(&result.loss, 1));
  result.loss /= batches;
  for (std::size_t p = 0; p < sums.size(); ++p) {
    if (!ones && !sums[p].empty()) job_.comm.all_reduce_sum(std::span(sums[p]));
    for (const double sum : sums[p]) result.grads[p].push_back(static_cast<float>(sum / batches));
  }
  return result;
}

Verdict Trainer::notify(When when) {
  const Verdict verdict = job_.method.on_event({when, step_, step_ / length_.steps_per_epoch, phase_index_}, *this);
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
      fail(ErrorKind::Internal, "the ranks of this trial have different masks at step {}", step_);
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
      .learning_rate = schedule_.at(step_), .dense_gradients = plan_.wants_dense(step_), .phase = phase_index_};
  const Batch& batch = source_->batch(batches_used_++);
  Program& program = training_->program;
  program.bind(training_->images, batch.images.data);
  program.bind(training_->labels, batch.labels.data);
  reducer_->begin_step(report.dense_gradients);
  program.run({.threads = job_.threads,
               .seed = job_.seeds.dropout,
               .step = static_cast<std::uint32_t>(step_),
               .first_row = batch.first_row});
  float sums[2] = {*program.view(training_->loss).as<float>(),
                   static_cast<float>(*program.view(training_->correct).as<std::int32_t>())};
  reducer_->finish(sums);
  report.loss = static_cast<double>(sums[0]);
  report.accuracy = static_cast<double>(sums[1]) / static_cast<double>(job_.train.integer("batch"));
  if (!std::isfinite(report.loss)) {
    report.step = step_;
    report.updated = false;
    return report;
  }
  const bool act = plan_.wants_after_backward(step_);
  if (act && notify(When::AfterBackward) == Verdict::SkipUpdate) {
    report.updated = false;
    ++skipped_;
  } else {
    optimizer_.update(params_, report.learning_rate);
    ++step_;
    if (plan_.wants_after_step(step_)) notify(When::AfterStep);
  }
  report.step = step_;
  return report;
}

Evaluation Trainer::evaluate(Split split) {
  Evaluation result;
  if (job_.data.examples(split) == 0) return result;
  const std::int64_t rows = job_.train.integer("eval_batch");
  if (!evaluation_) evaluation_ = network_.evaluation(rows, params_);
  auto& source = eval_sources_[split];
  if (!source) source = job_.data.eval(split, rows * job_.comm.size(), slice_of(job_.comm));
  double sums[3] = {0, 0, 0};
  Program& program = evaluation_->program;
  for (std::int64_t b = 0; b < source->batches(); ++b) {
    const Batch& batch = source->batch(b);
    program.bind(evaluation_->images, batch.images.data);
    program.bind(evaluation_->labels, batch.labels.data);
    program.run({.threads = job_.threads});
    job_.observer.working();
    sums[0] += static_cast<double>(*program.view(evaluation_->loss).as<float>());
    sums[1] += *program.view(evaluation_->correct).as<std::int32_t>();
    sums[2] += *program.view(evaluation_->correct5).as<std::int32_t>();
  }
  job_.comm.all_reduce_sum(std::span<double>(sums));
  result.examples = source->examples();
  const auto count = static_cast<double>(result.examples);
  result.loss = sums[0] / count;
  result.accuracy = sums[1] / count;
  result.top5 = sums[2] / count;
  return result;
}

void Trainer::report_epoch(double loss, double accuracy, std::int64_t batches) {
  const double start = seconds_now();
  sync_buffers();
  EpochReport report;
  const auto count = static_cast<double>(std::max<std::int64_t>(batches, 1));
  report.step = step_;
  report.epoch = static_cast<double>(step_) / static_cast<double>(length_.steps_per_epoch);
  report.phase = phase_index_;
  report.train_loss = loss / count;
  report.train_accuracy = accuracy / count;
  report.learning_rate = schedule_.at(std::max<std::int64_t>(step_ - 1, 0));
  report.validation = evaluate(Split::Validation);
  report.test = evaluate(Split::Test);
  last_loss_ = report.test.loss;
  report.train_seconds = train_seconds_;
  report.eval_seconds = seconds_now() - start;
  train_seconds_ = 0;
  job_.observer.epoch_done(report);
}

void Trainer::start_phase(int index) {
  const Phase phase = job_.method.phase(index, length_).value();
  phase_index_ = index;
  if (phase.start == Phase::Start::Initial) {
    params_.initialise(job_.seeds.init);
    for (const auto& [name, values] : job_.start) {
      std::span<float> target;
      for (std::size_t p = 0; p < model_.params.size(); ++p) {
        if (model_.params[p].name == name) target = params_.weight(ParamId(p));
      }
      for (std::size_t b = 0; b < model_.buffers.size(); ++b) {
        if (model_.buffers[b].name == name) target = params_.buffer(b);
      }
      if (target.size() != values.size()) {
        fail(ErrorKind::Settings, "init.from: tensor '{}' has {} values, the model needs {}", name, values.size(),
             target.size());
      }
      std::ranges::copy(values, target.begin());
    }
  } else if (phase.start == Phase::Start::Rewind) {
    const auto snapshot = snapshots_.find(phase.first_step);
    if (snapshot == snapshots_.end())
      fail(ErrorKind::Internal, "there is no snapshot of step {} to rewind to", phase.first_step);
    params_.load(snapshot->second, true, false);
  }
  step_ = phase.first_step;
  batches_used_ = phase.first_step;
  if (phase.reset_optimizer) {
    params_.reset_slots();
    optimizer_.reset();
  }
  notify(When::Begin);
  probes_.clear();
  job_.observer.phase_started(phase, *this);
}

void Trainer::run_phase(const Phase& phase) {
  double loss = 0, accuracy = 0;
  std::int64_t batches = 0;
  const std::int64_t every = job_.train.integer("eval_every") * length_.steps_per_epoch;
  while (step_ < phase.last_step) {
    if (phase.snapshot == step_ && !snapshots_.contains(step_)) {
      sync_buffers();
      params_.save(snapshots_[step_], true, false);
    }
    if (job_.observer.stop_requested()) throw Error(ErrorKind::Stopped, "stopped on request");
    const double start = seconds_now();
    const StepReport report = train_step();
    train_seconds_ += seconds_now() - start;
    job_.observer.step_done(report);
    if (!std::isfinite(report.loss)) return;
    loss += report.loss;
    accuracy += report.accuracy;
    ++batches;
    if (report.updated && (step_ % every == 0 || step_ == phase.last_step)) {
      report_epoch(loss, accuracy, batches);
      loss = accuracy = 0;
      batches = 0;
    }
    if (report.updated && step_ % length_.steps_per_epoch == 0) notify(When::EpochEnd);
  }
  notify(When::PhaseEnd);
}

Trainer::Outcome Trainer::run() {
  Outcome outcome;
  for (int index = 0;; ++index) {
    const auto phase = job_.method.phase(index, length_);
    if (!phase) break;
    start_phase(index);
    run_phase(*phase);
    // The last update can be the one that goes too far; only the evaluation after it shows that.
    if (step_ < phase->last_step || !std::isfinite(last_loss_)) {
      outcome.diverged = true;
      break;
    }
  }
  sync_buffers();
  outcome.step = step_;
  outcome.skipped = skipped_;
  outcome.bytes_sent = reducer_->bytes_sent();
  outcome.bytes_dense = reducer_->bytes_dense();
  return outcome;
}

std::size_t Trainer::memory_bytes() const {
  std::size_t bytes = params_.bytes() + training_->program.arena_bytes() + training_->program.scratch_bytes();
  if (evaluation_) bytes += evaluation_->program.arena_bytes() + evaluation_->program.scratch_bytes();
  return bytes + 2 * static_cast<std::size_t>(model_.graph.value(model_.input).shape.numel()) * sizeof(float);
}

void Trainer::save(StateWriter& writer) const {
  params_.save(writer);
  const std::int64_t counters[] = {step_, batches_used_, skipped_, phase_index_, optimizer_.updates()};
  writer.put_values<std::int64_t>("trainer/counters", counters);
  job_.method.save(writer);
}

void Trainer::load(StateReader& reader) {
  params_.load(reader);
  std::int64_t counters[5];
  reader.get_values<std::int64_t>("trainer/counters", counters);
  step_ = counters[0];
  batches_used_ = counters[1];
  skipped_ = counters[2];
  phase_index_ = static_cast<int>(counters[3]);
  optimizer_.set_updates(counters[4]);
  job_.method.load(reader);
  mask_revision_seen_ = params_.mask_revision();
}

}  // namespace winnow
