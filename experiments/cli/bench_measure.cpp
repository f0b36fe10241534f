#include "experiments/cli/bench_measure.h"

#include <sys/resource.h>

#include <algorithm>
#include <ctime>

#include "core/clock.h"
#include "core/error.h"
#include "core/memory.h"
#include "distributed/trainer.h"
#include "experiments/data/registry.h"
#include "experiments/methods/compose.h"
#include "experiments/models/registry.h"

namespace winnow {
namespace {

// Of the calling thread alone: on a busy machine, what a step on one thread would take without the others.
double cpu_seconds_now() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// Times steps that are queued together: their results come all at once, when the host has waited for them. Asks for a stop
// when the time is up.
class StepClock final : public TrainObserver {
 public:
  explicit StepClock(double budget) : budget_(budget) {}

  void step_done(const StepReport& report) override {
    loss_ = report.loss;
    if (++done_ % kTogether != 0) return;
    const double now = seconds_now(), cpu = cpu_seconds_now();
    // The first runs of a program are queued kernel by kernel and recorded.
    if (done_ > kWarmUp) {
      seconds_.push_back((now - since_) / kTogether);
      cpu_seconds_.push_back((cpu - cpu_since_) / kTogether);
    } else {
      end_ = now + budget_;
    }
    since_ = now;
    cpu_since_ = cpu;
  }
  Wish wish() override { return seconds_.size() >= 3 && seconds_now() >= end_ ? Wish::Stop : Wish::GoOn; }

  void give(Measured& measured) {
    measured.seconds = std::move(seconds_);
    measured.cpu_seconds = std::move(cpu_seconds_);
    measured.loss = loss_;
    measured.steps = static_cast<std::int64_t>(measured.seconds.size()) * kTogether;
  }

 private:
  static constexpr int kTogether = TrainingStep::kMostQueued, kWarmUp = 2 * kTogether;
  double budget_, end_ = 0, since_ = 0, cpu_since_ = 0, loss_ = 0;
  std::int64_t done_ = 0;
  std::vector<double> seconds_, cpu_seconds_;
};

void measure_one_by_one(Trainer& trainer, double budget, Measured& result) {
  trainer.start_phase(0);
  for (int i = 0; i < 3; ++i) trainer.train_step();
  const double end = seconds_now() + budget;
  while (result.seconds.size() < 3 || seconds_now() < end) {
    const double start = seconds_now(), cpu_start = cpu_seconds_now();
    result.loss = trainer.train_step().loss;
    result.seconds.push_back(seconds_now() - start);
    result.cpu_seconds.push_back(cpu_seconds_now() - cpu_start);
  }
  result.steps = static_cast<std::int64_t>(result.seconds.size());
}

void measure_queued(Trainer& trainer, StepClock& clock, Measured& result) {
  bool diverged = false;
  try {
    diverged = trainer.run().diverged;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Stopped) throw;
  }
  clock.give(result);
  if (diverged) fail(ErrorKind::Settings, "training diverges; a lower train.lr can be measured   (--set train.lr=...)");
  if (result.seconds.empty()) {
    fail(ErrorKind::Settings, "--set train.epochs: too short to be measured   ({} steps are queued at a time)",
         TrainingStep::kMostQueued);
  }
}

// The best of a few rounds, each of several copies.
double copy_rate(const std::shared_ptr<DeviceStream>& stream) {
  constexpr std::size_t kMost = std::size_t{256} << 20;
  constexpr int kRounds = 4, kCopies = 8;
  const std::size_t bytes = std::min(kMost, stream->free_bytes() / 16);
  const Memory from(stream, bytes), to(stream, bytes);
  double best = 0;
  for (int round = 0; round < kRounds; ++round) {
    stream->wait();
    const double start = seconds_now();
    for (int i = 0; i < kCopies; ++i) stream->copy(to.get(), from.get(), bytes);
    stream->wait();
    best = std::max(best, 2.0 * kCopies * static_cast<double>(bytes) / (seconds_now() - start));
  }
  return best;
}

}  // namespace

Measured measure_steps(const BenchSubject& subject, int threads, double budget,
                       const std::shared_ptr<DeviceStream>& stream) {
  const ModelDef& model = find_model(subject.model.text("name"));
  const std::unique_ptr<Dataset> data = find_dataset("synthetic").open(subject.data);
  const std::unique_ptr<Method> method = make_method(subject.method);
  const std::unique_ptr<Communicator> self = make_self();
  StepClock clock(budget);
  TrainObserver nobody;
  Settings train = subject.train;
  if (stream) train.set("eval_every", "1000000000");  // an evaluation is no step
  Measured result;
  if (stream) {
    result.gpu = stream->identity().model;
    result.plan = plan_step(subject, result.gpu);
    result.copied = copy_rate(stream);
  }
  ProgramCache programs(stream);
  Trainer trainer({.build = [&](std::int64_t batch,
                                DType compute) { return model.build(subject.model, data->shape(), batch, compute); },
                   .method = *method,
                   .data = *data,
                   .train = train,
                   .seeds = {1, 2, 3, 4, 5},
                   .comm = *self,
                   .observer = stream ? static_cast<TrainObserver&>(clock) : nobody,
                   .threads = threads,
                   .programs = &programs});
  if (stream) {
    measure_queued(trainer, clock, result);
  } else {
    measure_one_by_one(trainer, budget, result);
  }
  std::ranges::sort(result.seconds);
  std::ranges::sort(result.cpu_seconds);

  Program& program = trainer.training_program();
  program.profile(true);
  const double start = seconds_now();
  const auto steps = static_cast<std::size_t>(std::clamp(0.2 * budget / result.median(), 2.0, 200.0));
  for (std::size_t i = 0; i < steps; ++i) trainer.train_step();
  result.profiled = (seconds_now() - start) / static_cast<double>(steps);
  result.nodes = program.times();
  for (Program::NodeTime& node : result.nodes) node.seconds /= static_cast<double>(steps);
  program.profile(false);
  result.macs = program.macs();
  result.compute = trainer.network().compute();
  result.statistics = trainer.fused_statistics();
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  result.memory = stream ? static_cast<std::int64_t>(trainer.memory_bytes()) : usage.ru_maxrss * 1024;
  return result;
}

}  // namespace winnow
