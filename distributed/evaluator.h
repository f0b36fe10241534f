// Loss and accuracies of the present weights on a whole split, all ranks together. Owns the
// evaluation program and its batches, made when first needed; borrows the rest. Not synchronised.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "distributed/train_job.h"

namespace winnow {

class Evaluator {
 public:
  Evaluator(const TrainJob& job, const Network& network, ParamStore& params)
      : job_(job), network_(network), params_(params) {}

  // Collective. A split without examples gives zeros.
  Evaluation evaluate(Split split);
  std::size_t memory_bytes() const;

 private:
  const TrainJob& job_;
  const Network& network_;
  ParamStore& params_;
  std::optional<CompiledNetwork> net_;
  std::map<Split, std::unique_ptr<EvalSource>> sources_;
};

}  // namespace winnow
