#include "distributed/evaluator.h"

namespace winnow {
namespace {

// Over the examples of a batch; rows that fill it up have label -1.
double sum_over_examples(const TensorView& values, const TensorView& labels) {
  double sum = 0;
  for (std::int64_t row = 0; row < values.numel(); ++row) {
    if (labels.as<std::int32_t>()[row] >= 0) sum += static_cast<double>(values.as<float>()[row]);
  }
  return sum;
}

}  // namespace

Evaluation Evaluator::evaluate(Split split) {
  Evaluation result;
  if (job_.data.examples(split) == 0) return result;
  const std::int64_t rows = job_.train.integer("eval_batch");
  if (net_ == nullptr) net_ = &programs_.compiled(network_.evaluation(rows));
  auto& source = sources_[split];
  if (!source) source = job_.data.eval(split, rows * job_.comm.size(), job_.slice());
  std::vector<double> sums(3 + net_->reported.size(), 0.0);
  Program& program = net_->program;
  for (std::int64_t b = 0; b < source->batches(); ++b) {
    const Batch& batch = source->batch(b);
    program.feed(net_->images, batch.images.data);
    program.feed(net_->labels, batch.labels.data);
    program.run();
    job_.observer.working();
    sums[0] += static_cast<double>(*program.view(net_->loss).as<float>());
    sums[1] += *program.view(net_->correct).as<std::int32_t>();
    sums[2] += *program.view(net_->correct5).as<std::int32_t>();
    for (std::size_t i = 0; i < net_->reported.size(); ++i) {
      sums[3 + i] += sum_over_examples(program.view(net_->reported[i].value), batch.labels);
    }
  }
  job_.comm.all_reduce_sum(std::span<double>(sums));
  result.examples = source->examples();
  const auto count = static_cast<double>(result.examples);
  result.loss = sums[0] / count;
  result.accuracy = sums[1] / count;
  result.top5 = sums[2] / count;
  for (std::size_t i = 0; i < net_->reported.size(); ++i) result.observed[net_->reported[i].name] = sums[3 + i] / count;
  return result;
}

std::size_t Evaluator::memory_bytes() const {
  return net_ != nullptr ? net_->program.arena_bytes() + net_->program.scratch_bytes() : 0;
}

}  // namespace winnow
