// Answers a method's probes: forward and backward passes outside training, in f32 or f64, which change
// nothing. One program for each kind of request. Borrows all but that in f64; not synchronised.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "distributed/train_job.h"

namespace winnow {

class Prober {
 public:
  Prober(const TrainJob& job, const Network& network, ProgramCache& programs, BatchSource& source)
      : job_(job), network_(network), programs_(programs), params_(programs.params()), source_(source) {}

  // Collective, unless the input is all ones. `step`: of the random streams.
  ProbeResult probe(const ProbeRequest& request, std::int64_t step);
  void clear();  // gives the memory of large programs back

 private:
  CompiledNetwork& compiled(const ProbeRequest& request);
  void bind_weights(CompiledNetwork& net, const ProbeRequest& request);
  std::span<const float> weights_of(std::size_t param, const ProbeRequest& request);
  std::vector<std::vector<float>> buffers_of(const ProbeRequest& request);
  ProbeResult probe_in_double(const ProbeRequest& request);

  const TrainJob& job_;
  const Network& network_;
  ProgramCache& programs_;
  ParamStore& params_;
  BatchSource& source_;
  std::map<std::string, CompiledNetwork*> nets_;
  std::optional<DoubleNetwork> double_net_;  // of requests that differ only in their values
};

}  // namespace winnow
