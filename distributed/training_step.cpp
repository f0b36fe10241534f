#include "distributed/training_step.h"

#include <algorithm>

namespace winnow {

TrainingStep::TrainingStep(const TrainJob& job, const Network& network, ProgramCache& programs, BatchSource& source)
    : job_(job),
      params_(programs.params()),
      source_(source),
      net_(programs.compiled(network.training(job.rows(), job.batch()))),
      optimizer_(job.train, params_, job.method, job.threads, &net_.program.state()) {
  std::vector<ParamId> order;
  std::vector<ValueId> watched;
  for (const auto& [value, id] : net_.gradients) {
    order.push_back(id);
    watched.push_back(value);
    param_of_grad_.resize(std::max(param_of_grad_.size(), static_cast<std::size_t>(value) + 1));
    param_of_grad_[static_cast<std::size_t>(value)] = id;
  }
  reducer_ = std::make_unique<Reducer>(job_.comm, params_, std::move(order));
  if (job_.comm.size() == 1) watched.clear();  // nothing is sent
  net_.program.watch(watched,
                     [this](ValueId value) { reducer_->ready(param_of_grad_[static_cast<std::size_t>(value)]); });
}

TrainingStep::Result TrainingStep::gradients(std::int64_t index, std::int64_t step, bool dense) {
  const Batch& batch = source_.batch(index);
  Program& program = net_.program;
  program.feed(net_.images, batch.images.data);
  program.feed(net_.labels, batch.labels.data);
  reducer_->begin_step(dense);
  program.run({.seed = job_.seeds.dropout, .step = static_cast<std::uint32_t>(step), .first_row = batch.first_row});
  sums_ = {*program.view(net_.loss).as<float>(), static_cast<float>(*program.view(net_.correct).as<std::int32_t>()),
           static_cast<float>(status().not_finite)};
  for (const Reported& extra : net_.reported) sums_.push_back(*program.view(extra.value).as<float>());
  reducer_->finish(sums_);
  Result result{static_cast<double>(sums_[0]), static_cast<double>(sums_[1]) / static_cast<double>(job_.batch()), {}};
  result.losses.assign(sums_.begin() + 3, sums_.end());
  // What one rank found ends the trial on all.
  if (sums_[2] > 0 || std::ranges::any_of(sums_, [](float sum) { return not_finite(sum); })) {
    mark_not_finite(&program.state());
  }
  return result;
}

std::size_t TrainingStep::memory_bytes() const {
  const TensorView images = net_.program.view(net_.images);
  return net_.program.arena_bytes() + net_.program.scratch_bytes() + 2 * images.bytes();  // two batches are prepared
}

}  // namespace winnow
