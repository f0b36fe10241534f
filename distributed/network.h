// The network of a trial as model and method define it, compiled for training, evaluation and
// probes. Builds the graph anew for each; parameters are the same everywhere. Borrows the method; not synchronised.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/double_program.h"
#include "core/method.h"
#include "core/program.h"

namespace winnow {

using BuildModel = std::function<Model(std::int64_t batch, DType compute)>;

// What `precision` of the train settings means on this processor.
DType compute_type(const Settings& train);

// A compiled network and the values its user binds and reads.
struct CompiledNetwork {
  Program program;
  ValueId images, labels;
  ValueId loss, correct, correct5;                     // loss is a sum for evaluation, a mean for training
  std::vector<std::pair<ValueId, ParamId>> gradients;  // in the order in which they become final
  // Where parameters and buffers enter this graph, by ParamId and position: a graph of another
  // precision numbers its values differently. Retired ones do not enter.
  std::vector<ValueId> params, buffers;
};

// The same for a probe in double precision.
struct DoubleNetwork {
  DoubleProgram program;
  ValueId images, loss;
  std::vector<std::pair<ValueId, ParamId>> gradients;
  std::vector<ValueId> params, buffers;
};

class Network {
 public:
  Network(BuildModel build, Method& method, const Settings& train, DType compute, int threads);

  DType compute() const { return compute_; }
  // With the method's edits.
  Model model(std::int64_t batch) const { return model(batch, compute_); }

  // Forward and backward on `batch` rows; the loss is the mean over `denominator` rows, so that the
  // sum over ranks is the mean over the whole batch. Gradients are written into `params`.
  CompiledNetwork training(std::int64_t batch, std::int64_t denominator, ParamStore& params) const;
  CompiledNetwork evaluation(std::int64_t batch, ParamStore& params) const;
  // Gradients stay in the program. Always f32: scores choose the mask, which must not depend on
  // what the processor is fast at.
  CompiledNetwork probe(const ProbeRequest& request, std::int64_t batch, std::int64_t denominator,
                        ParamStore& params) const;
  // Of one image; the loss must be the sum of the logits.
  DoubleNetwork probe_in_double(const ProbeRequest& request) const;
  std::vector<TrainState::LayerWeight> effective_weights(ParamStore& params) const;

 private:
  struct Draft;
  Model model(std::int64_t batch, DType compute) const;
  Draft draft(std::int64_t batch, DType compute) const;
  CompiledNetwork compile(Draft& draft, ParamStore& params, bool gradients, bool into_params) const;
  BuildModel build_;
  Method& method_;
  const Settings& train_;
  DType compute_;
  int threads_;
};

}  // namespace winnow
