#include "distributed/training_step.h"

#include <algorithm>
#include <array>
#include <utility>

namespace winnow {
namespace {

// The program reads these values in place of the weights for as long as this lives. Bound and not fed: nothing is copied,
// and where programs are recorded there is one recording for each place.
class AtPoint {
 public:
  AtPoint(CompiledNetwork& net, ParamStore& params, std::span<const Optimizer::Point> point)
      : net_(net), params_(params), point_(point) {
    for (const auto& [id, values] : point_) net_.program.bind(leaf(id), values);
  }
  ~AtPoint() {
    for (const auto& [id, values] : point_) net_.program.bind(leaf(id), params_.weight_memory(id).data);
  }
  AtPoint(const AtPoint&) = delete;
  AtPoint& operator=(const AtPoint&) = delete;

 private:
  ValueId leaf(ParamId id) const { return net_.params[static_cast<std::size_t>(id)]; }
  CompiledNetwork& net_;
  ParamStore& params_;
  std::span<const Optimizer::Point> point_;
};

// As long for every optimiser, so that the next trial's does not want another one.
ScalarLog& log_of(CompiledNetwork& net) {
  std::vector<ValueId> scalars = {net.loss, net.correct};
  for (const Reported& extra : net.reported) scalars.push_back(extra.value);
  constexpr std::size_t kMostPasses = 2;
  if (!net.log) net.log.emplace(net.program, scalars, TrainingStep::kMostQueued * kMostPasses);
  net.log->restart();
  return *net.log;
}

}  // namespace

TrainingStep::TrainingStep(const TrainJob& job, const Network& network, ProgramCache& programs, BatchSource& source)
    : job_(job),
      network_(network),
      programs_(programs),
      params_(programs.params()),
      source_(source),
      feeder_(programs.feeder(Split::Train)),
      passes_(Optimizer::passes(job.train)) {
  add_part({});
  statistics_ = now().net.statistics;
}

void TrainingStep::add_part(std::vector<ParamId> resting) {
  ProgramDraft draft = network_.training(job_.rows(), job_.batch(), resting);
  // Of this trial alone, whereas programs stay for later ones.
  const std::optional<Teaching> teaching = std::exchange(draft.model.teaching, std::nullopt);
  CompiledNetwork& net = programs_.compiled(std::move(draft));
  if (teaching && !teacher_) {
    teacher_ = std::make_unique<Teacher>(*teaching, job_.train, job_.rows(), network_.compute(),
                                         net.program.context().beside());
  }
  Optimizer optimizer(job_.train, params_, job_.method, net.program.context(), resting, &net.updates);
  parts_.push_back(std::make_unique<Part>(
      Part{std::move(resting), net, std::move(optimizer), make_reducer(job_, params_, net), log_of(net)}));
  now().reducer->watch();
  net.program.prepare_to_feed(std::array{net.images, net.labels});
  std::size_t memory = 0;
  for (const auto& each : parts_) {
    const Program& program = each->net.program;
    memory += program.arena_bytes() + program.scratch_bytes() + each->optimizer.point_bytes();
  }
  memory_ = std::max(memory_, memory);
}

void TrainingStep::prepare_pixels() {
  feeder_.prepare_pixels(context(), source_);
  programs_.keep(feeder_.pixels());
}

void TrainingStep::enter_phase(int phase) {
  phase_ = phase;
  now().optimizer.enter_phase(phase);
}

void TrainingStep::rest(std::span<const ParamId> resting) {
  if (std::ranges::equal(resting, now().resting)) return;
  if (parts_.size() == 2 && std::ranges::equal(resting, parts_.front()->resting)) {
    std::swap(parts_.front(), parts_.back());
    // They may have one program, where what rests in the one has no gradient in the other either.
    now().reducer->watch();
  } else {
    constexpr std::size_t kSmall = std::size_t{16} << 20;  // the next trial will want it again
    if (parts_.size() == 2) {
      const Part& gone = *parts_.front();
      bytes_sent_ += gone.reducer->bytes_sent();
      bytes_dense_ += gone.reducer->bytes_dense();
      CompiledNetwork& net = gone.net;
      parts_.erase(parts_.begin());
      if (&net != &now().net) programs_.done_with(net, kSmall);
    }
    add_part({resting.begin(), resting.end()});
  }
  now().optimizer.enter_phase(phase_);
  // Whoever reads all gradients finds none of them.
  for (const ParamId id : resting) params_.zero_gradient(id);
}

void TrainingStep::gradients(std::int64_t index, std::int64_t step, bool dense) {
  const std::int64_t first_row = feed(index);
  pass(first_row, step, dense && passes_ == 1, true);
  if (passes_ > 1) {
    const AtPoint there(now().net, params_, now().optimizer.point());
    pass(first_row, step, dense, false);
  }
  queued_.push_back({step, bytes_sent(), bytes_dense()});
}

std::vector<TrainingStep::Result> TrainingStep::results() {
  std::vector<Result> results;
  if (queued_.empty()) return results;
  program().check();
  const std::size_t columns = now().log.columns();
  const std::vector<float> values = now().log.take();
  const std::size_t per_batch = columns * static_cast<std::size_t>(passes_);
  bool finite = true;
  for (std::size_t batch = 0; batch < queued_.size(); ++batch) {
    const std::span passes = std::span(values).subspan(batch * per_batch, per_batch);
    const std::span at_weights = passes.first(columns);
    Result& result = results.emplace_back();
    result.loss = static_cast<double>(at_weights[0]);
    result.accuracy = static_cast<double>(at_weights[1]) / static_cast<double>(job_.batch());
    result.losses.assign(at_weights.begin() + 2, at_weights.end() - 1);
    for (std::size_t i = 0; i < passes.size(); ++i) {
      const bool is_flag = i % columns == columns - 1;
      result.finite = result.finite && !not_finite(passes[i]) && !(is_flag && passes[i] > 0);
    }
    if (finite && !result.finite) note_not_finite(batch);
    finite = finite && result.finite;
  }
  queued_.clear();
  return results;
}

// Gives the first row of this rank's part.
std::int64_t TrainingStep::feed(std::int64_t index) {
  CompiledNetwork& net = now().net;
  const std::int64_t first_row = feeder_.feed(net.program, net.images, net.labels, source_, index);
  programs_.keep(feeder_.pixels());
  if (teacher_) {
    feeder_.make_images();  // for it, too
    teacher_->compute(net.program.view(net.images).data, job_.comm);
    // Bound and not fed: what it computes lies where the program can read it.
    for (std::size_t i = 0; i < net.taught.size(); ++i) net.program.bind(net.taught[i], teacher_->value(i));
  }
  return first_row;
}

void TrainingStep::pass(std::int64_t first_row, std::int64_t step, bool dense, bool first) {
  CompiledNetwork& net = now().net;
  now().reducer->begin_step(dense);
  params_.send();
  params_.gradients_written();  // as the reducer hears of them while the program runs
  Program::Beside beside;
  if (first && !teacher_) feeder_.join(beside);
  now().log.join(beside);
  net.program.run({.seed = job_.seeds.dropout,
                   .step = static_cast<std::uint32_t>(step),
                   .first_row = first_row,
                   .update_statistics = first},
                  beside);
  now().log.noted();
  if (!now().reducer->sums_in_place()) sum_over_ranks();
}

void TrainingStep::sum_over_ranks() {
  program().check();
  std::vector<float> sums = now().log.last();
  now().reducer->finish(sums);
  now().log.replace_last(sums);
}

// What one rank found, or shows in a loss alone, ends the trial on all, from the step on in which it was: this one, or the
// one before in its update. What was queued behind that has changed nothing, and what it sent does not count.
void TrainingStep::note_not_finite(std::size_t batch) {
  const auto step = static_cast<std::uint32_t>(queued_[batch].step);
  RunStatus found = status();
  if (found.not_finite == 0 || found.since > step) {
    found.not_finite = 1;
    found.since = step;
    context().set_status(found);
  }
  const Queued& last = queued_[batch > 0 && found.since < step ? batch - 1 : batch];
  bytes_sent_ -= bytes_sent() - last.sent;
  bytes_dense_ -= bytes_dense() - last.dense;
}

std::int64_t TrainingStep::bytes_sent() const {
  std::int64_t sum = bytes_sent_;
  for (const auto& part : parts_) sum += part->reducer->bytes_sent();
  return sum;
}

std::int64_t TrainingStep::bytes_dense() const {
  std::int64_t sum = bytes_dense_;
  for (const auto& part : parts_) sum += part->reducer->bytes_dense();
  return sum;
}

std::size_t TrainingStep::memory_bytes() const {
  const CompiledNetwork& net = now().net;
  const std::size_t taught = teacher_ ? teacher_->memory_bytes() : 0;
  return memory_ + taught + 2 * net.program.view(net.images).bytes();  // two batches are prepared
}

}  // namespace winnow
