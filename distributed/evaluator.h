// Loss and accuracies of the present weights on a whole split, all ranks together. Owns the
// batches, made when first needed; borrows the rest. Not synchronised.
#pragma once

#include <map>
#include <memory>

#include "distributed/train_job.h"

namespace winnow {

class Evaluator {
 public:
  Evaluator(const TrainJob& job, const Network& network, ProgramCache& programs)
      : job_(job), network_(network), programs_(programs) {}

  // Collective. A split without examples gives zeros.
  Evaluation evaluate(Split split);
  void prepare();                            // takes the memory that evaluation needs
  void prepare_pixels();                     // and on a device the bytes of the data set, where there is room
  void forget_program() { net_ = nullptr; }  // the network is another one
  std::size_t memory_bytes() const;

 private:
  EvalSource& source_of(Split split);

  const TrainJob& job_;
  const Network& network_;
  ProgramCache& programs_;
  CompiledNetwork* net_ = nullptr;  // made when first needed
  std::map<Split, std::unique_ptr<EvalSource>> sources_;
};

}  // namespace winnow
