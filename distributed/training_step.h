// One batch of training: forward, backward, the sum of gradients over ranks, and the update, which
// the trainer asks for apart, since a method may act between. An optimiser of two passes runs the batch again at a point
// that it computes from the first gradients. On a device all of this is queued; losses stay there until results() asks for
// them, so that the host waits once for many steps. Owns reducers and optimisers; borrows the rest. Not synchronised.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "core/optimizer.h"
#include "core/scalar_log.h"
#include "distributed/reducer.h"
#include "distributed/teacher.h"
#include "distributed/train_job.h"

namespace winnow {

class TrainingStep {
 public:
  TrainingStep(const TrainJob& job, const Network& network, ProgramCache& programs, BatchSource& source);

  struct Result {
    double loss = 0, accuracy = 0;    // of the whole batch, at the weights
    std::vector<double> losses = {};  // extra ones, as they are weighed: by Model::losses
    bool finite = true;               // all numbers up to here, on every rank
  };
  static constexpr std::size_t kMostQueued = 32;  // batches between two calls of results()
  void prepare_pixels();                          // takes the bytes of the data set on a device, where there is room
  void enter_phase(int phase);
  // From here on these parameters rest, in the order of their ids: programs without their gradients and updates.
  void rest(std::span<const ParamId> resting);
  // Gradients of this batch of the training order, summed over ranks. `dense`: also those of masked
  // entries. `step`: of the random streams.
  void gradients(std::int64_t batch, std::int64_t step, bool dense);
  // Of all batches since the last call, in order.
  std::vector<Result> results();
  // Whether gradients() leaves the host free to go on with further steps.
  bool queues() const { return context().stream() != nullptr && now().reducer->sums_in_place(); }
  // Update number `number` since the slots were zero, from 1; `factors` on the learning rate, by ParamId.
  void update(double learning_rate, std::int64_t number, std::span<const double> factors = {}) {
    now().optimizer.update(learning_rate, number, factors);
  }
  // What the passes and updates so far have marked; the same on every rank after gradients() and update().
  RunStatus status() { return context().status(); }
  void clear_status() { context().set_status({}); }

  int passes() const { return passes_; }
  std::int64_t bytes_sent() const;  // as Reducer says, of all passes so far
  std::int64_t bytes_dense() const;
  Program& program() { return now().net.program; }
  const FusedStatistics& statistics() const { return statistics_; }
  std::size_t memory_bytes() const;  // the most that was planned at one time

 private:
  // What it takes to train while these parameters rest.
  struct Part {
    std::vector<ParamId> resting;
    CompiledNetwork& net;
    Optimizer optimizer;
    std::unique_ptr<Reducer> reducer;
    ScalarLog& log;  // of each pass: loss, correct, extra losses
  };
  Part& now() { return *parts_.back(); }
  const Part& now() const { return *parts_.back(); }
  void add_part(std::vector<ParamId> resting);
  RunContext context() const { return now().net.program.context(); }
  std::int64_t feed(std::int64_t index);
  void pass(std::int64_t first_row, std::int64_t step, bool dense, bool first);
  void sum_over_ranks();
  void note_not_finite(std::size_t batch);

  const TrainJob& job_;
  const Network& network_;
  ProgramCache& programs_;
  ParamStore& params_;
  BatchSource& source_;
  BatchFeeder& feeder_;
  std::unique_ptr<Teacher> teacher_;  // where the method has one
  int passes_, phase_ = 0;
  // A batch whose result is to come: its step, and what was sent by its end.
  struct Queued {
    std::int64_t step, sent, dense;
  };
  std::vector<Queued> queued_;
  std::vector<std::unique_ptr<Part>> parts_;  // the one before, if any, and the present one: turns compile once
  std::size_t memory_ = 0;
  FusedStatistics statistics_;                     // where nothing rests
  std::int64_t bytes_sent_ = 0, bytes_dense_ = 0;  // of parts that are gone, less what does not count
};

}  // namespace winnow
