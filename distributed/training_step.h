// One batch of training: forward, backward, the sum of gradients over ranks, and the update, which
// the trainer asks for apart, since a method may act between. Owns reducer and optimiser;
// borrows the rest. Not synchronised.
#pragma once

#include <memory>
#include <vector>

#include "core/optimizer.h"
#include "distributed/reducer.h"
#include "distributed/train_job.h"

namespace winnow {

class TrainingStep {
 public:
  TrainingStep(const TrainJob& job, const Network& network, ProgramCache& programs, BatchSource& source);

  struct Result {
    double loss = 0, accuracy = 0;    // of the whole batch
    std::vector<double> losses = {};  // extra ones, as they are weighed: by Model::losses
  };
  void enter_phase(int phase) { optimizer_.enter_phase(phase); }
  // Gradients of this batch of the training order, summed over ranks. `dense`: also those of masked
  // entries. `step`: of the random streams.
  Result gradients(std::int64_t batch, std::int64_t step, bool dense);
  // Update number `number` since the slots were zero, from 1.
  void update(double learning_rate, std::int64_t number) { optimizer_.update(learning_rate, number); }
  // What the passes and updates so far have marked; the same on every rank after gradients() and update().
  RunStatus& status() { return net_.program.state().status; }

  const Reducer& reducer() const { return *reducer_; }
  Program& program() { return net_.program; }
  std::size_t memory_bytes() const;

 private:
  const TrainJob& job_;
  ParamStore& params_;
  BatchSource& source_;
  CompiledNetwork& net_;
  Optimizer optimizer_;
  std::vector<ParamId> param_of_grad_;  // by value
  std::unique_ptr<Reducer> reducer_;
  std::vector<float> sums_;  // over ranks, of one batch
};

}  // namespace winnow
