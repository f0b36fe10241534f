#include "distributed/evaluator.h"

#include <array>

namespace winnow {
namespace {

// Over the examples of a batch; rows that fill it up have label -1.
double sum_over_examples(std::span<const float> values, const TensorView& labels) {
  double sum = 0;
  for (std::size_t row = 0; row < values.size(); ++row) {
    if (labels.as<std::int32_t>()[row] >= 0) sum += static_cast<double>(values[row]);
  }
  return sum;
}

}  // namespace

void Evaluator::prepare() {
  if (net_ != nullptr) return;
  net_ = &programs_.compiled(network_.evaluation(job_.train.integer("eval_batch")));
  if (!net_->log) net_->log.emplace(net_->program, std::array{net_->loss, net_->correct, net_->correct5}, 64);
  net_->log->restart();
  net_->program.prepare_to_feed(std::array{net_->images, net_->labels});
}

void Evaluator::prepare_pixels() {
  prepare();
  for (const Split split : {Split::Validation, Split::Test}) {
    if (job_.data.examples(split) == 0) continue;
    BatchFeeder& feeder = programs_.feeder(split);
    feeder.prepare_pixels(net_->program.context(), source_of(split));
    programs_.keep(feeder.pixels());
  }
}

EvalSource& Evaluator::source_of(Split split) {
  auto& source = sources_[split];
  if (!source) source = job_.data.eval(split, job_.train.integer("eval_batch") * job_.comm.size(), job_.slice());
  return *source;
}

Evaluation Evaluator::evaluate(Split split) {
  Evaluation result;
  if (job_.data.examples(split) == 0) return result;
  prepare();
  EvalSource& source = source_of(split);
  std::vector<double> sums(3 + net_->reported.size(), 0.0);
  Program& program = net_->program;
  ScalarLog& log = *net_->log;
  BatchFeeder& feeder = programs_.feeder(split);
  const auto add_logged = [&] {
    program.check();
    const std::vector<float> logged = log.take();
    for (std::size_t i = 0; i < logged.size(); ++i) {
      if (const std::size_t column = i % log.columns(); column < 3) sums[column] += static_cast<double>(logged[i]);
    }
  };
  std::vector<float> observed;  // of the examples of one batch
  programs_.params().send();
  for (std::int64_t b = 0; b < source.batches(); ++b) {
    feeder.feed(program, net_->images, net_->labels, source, b);
    Program::Beside beside;
    feeder.join(beside);
    log.join(beside);
    program.run({}, beside);
    log.noted();
    if (log.full()) add_logged();
    job_.observer.working();
    for (std::size_t i = 0; i < net_->reported.size(); ++i) {
      observed.resize(static_cast<std::size_t>(program.view(net_->reported[i].value).numel()));
      program.read(net_->reported[i].value, std::as_writable_bytes(std::span(observed)));
      sums[3 + i] += sum_over_examples(observed, source.batch(b).labels);
    }
  }
  add_logged();
  programs_.keep(feeder.pixels());
  job_.comm.all_reduce_sum(std::span<double>(sums));
  result.examples = source.examples();
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
