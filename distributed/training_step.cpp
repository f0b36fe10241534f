#include "distributed/training_step.h"

#include <algorithm>
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

}  // namespace

TrainingStep::TrainingStep(const TrainJob& job, const Network& network, ProgramCache& programs, BatchSource& source)
    : job_(job),
      network_(network),
      programs_(programs),
      params_(programs.params()),
      source_(source),
      passes_(Optimizer::passes(job.train)) {
  add_part({});
}

void TrainingStep::add_part(std::vector<ParamId> resting) {
  ProgramDraft draft = network_.training(job_.rows(), job_.batch(), resting);
  // Of this trial alone, whereas programs stay for later ones.
  const std::optional<Teaching> teaching = std::exchange(draft.model.teaching, std::nullopt);
  if (teaching && !teacher_) {
    teacher_ = std::make_unique<Teacher>(*teaching, job_.train, job_.rows(), network_.compute(), job_.threads);
  }
  CompiledNetwork& net = programs_.compiled(std::move(draft));
  Optimizer optimizer(job_.train, params_, job_.method, net.program.context(), resting);
  parts_.push_back(
      std::make_unique<Part>(Part{std::move(resting), net, std::move(optimizer), make_reducer(job_, params_, net)}));
  now().reducer->watch();
  std::size_t memory = 0;
  for (const auto& each : parts_) {
    const Program& program = each->net.program;
    memory += program.arena_bytes() + program.scratch_bytes() + each->optimizer.point_bytes();
  }
  memory_ = std::max(memory_, memory);
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

TrainingStep::Result TrainingStep::gradients(std::int64_t index, std::int64_t step, bool dense) {
  const Batch& batch = source_.batch(index);
  feed(batch);
  const Result at_weights = pass(batch, step, dense && passes_ == 1, true);
  if (passes_ == 1 || status().not_finite != 0) return at_weights;
  const AtPoint there(now().net, params_, now().optimizer.point());
  pass(batch, step, dense, false);
  return at_weights;
}

void TrainingStep::feed(const Batch& batch) {
  CompiledNetwork& net = now().net;
  net.program.feed(net.images, batch.images.data);
  net.program.feed(net.labels, batch.labels.data);
  if (!teacher_) return;
  teacher_->compute(batch.images.data, job_.comm);
  for (std::size_t i = 0; i < net.taught.size(); ++i) net.program.feed(net.taught[i], teacher_->value(i));
}

TrainingStep::Result TrainingStep::pass(const Batch& batch, std::int64_t step, bool dense, bool first) {
  CompiledNetwork& net = now().net;
  Program& program = net.program;
  now().reducer->begin_step(dense);
  params_.send();
  params_.gradients_written();  // as the reducer hears of them while the program runs
  program.run({.seed = job_.seeds.dropout,
               .step = static_cast<std::uint32_t>(step),
               .first_row = batch.first_row,
               .update_statistics = first});
  program.check();
  RunStatus found = status();
  sums_ = {program.scalar<float>(net.loss), static_cast<float>(program.scalar<std::int32_t>(net.correct)),
           static_cast<float>(found.not_finite)};
  for (const Reported& extra : net.reported) sums_.push_back(program.scalar<float>(extra.value));
  now().reducer->finish(sums_);
  Result result{static_cast<double>(sums_[0]), static_cast<double>(sums_[1]) / static_cast<double>(job_.batch()), {}};
  result.losses.assign(sums_.begin() + 3, sums_.end());
  // What one rank found ends the trial on all.
  const bool elsewhere = sums_[2] > 0 || std::ranges::any_of(sums_, [](float sum) { return not_finite(sum); });
  if (elsewhere && found.not_finite == 0) {
    found.not_finite = 1;
    found.since = static_cast<std::uint32_t>(step);
    context().set_status(found);
  }
  return result;
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
