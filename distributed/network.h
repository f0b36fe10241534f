// The network of a trial as model and method define it, drafted for training, evaluation and
// probes. Builds the graph anew for each; parameters are the same everywhere. Channels that were removed are missing
// from every draft made since. Borrows the method; not synchronised.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/double_program.h"
#include "core/method.h"
#include "distributed/program_cache.h"

namespace winnow {

using BuildModel = std::function<Model(std::int64_t batch, DType compute)>;

// What `precision` of the train settings means on this processor, or on a GPU.
DType compute_type(const Settings& train, Device device = Device::Cpu);

// A network for a probe in double precision, and the values its user sets and reads.
struct DoubleNetwork {
  DoubleProgram program;
  ValueId images, labels, loss;
  std::vector<std::pair<ValueId, ParamId>> gradients;
  std::vector<ValueId> params, buffers;
};

class Network {
 public:
  Network(BuildModel build, Method& method, const Settings& train, DType compute, int threads);

  DType compute() const { return compute_; }
  // With the method's edits, and without the channels that are gone.
  Model model(std::int64_t batch, Use use) const { return model(batch, compute_, use); }

  // Of the network as it is now (TrainState::remove_channels). Gives what that leaves of each tensor.
  ChannelCut remove_channels(std::span<const std::int64_t> groups);
  // What all removals together have left of the tensors that model and method build; empty: all.
  const ChannelCut& kept() const { return kept_; }
  void save(StateWriter& out) const;  // the removals
  bool load(StateReader& in);         // does it make another network?

  // Forward and backward on `batch` rows; the loss is the mean over `denominator` rows, so that the
  // sum over ranks is the mean over the whole batch; extra losses likewise. Gradients are written into the
  // parameters' own. Parameters that rest have none, and normalisations whose parameters all rest use their running
  // statistics.
  ProgramDraft training(std::int64_t batch, std::int64_t denominator, std::span<const ParamId> resting = {}) const;
  ProgramDraft evaluation(std::int64_t batch) const;
  // The forward pass of training; every run leaves the batch's own statistics in the buffers.
  ProgramDraft statistics(std::int64_t batch) const;
  // Gradients stay in the program. Always f32: scores choose the mask, which must not depend on
  // what the processor is fast at.
  ProgramDraft probe(const ProbeRequest& request, std::int64_t batch, std::int64_t denominator) const;
  // Of `batch` images, over which a cross-entropy is a mean.
  DoubleNetwork probe_in_double(const ProbeRequest& request, std::int64_t batch) const;
  std::vector<TrainState::LayerWeight> effective_weights(ParamStore& params) const;

 private:
  Model model(std::int64_t batch, DType compute, Use use) const;
  BuildModel build_;
  Method& method_;
  const Settings& train_;
  DType compute_;
  int threads_;
  std::vector<std::vector<std::int64_t>> removals_;  // in order; each by the groups that the one before has left
  ChannelCut kept_;
};

}  // namespace winnow
