// Answers a method's probes: forward and backward passes outside training, in f32 or f64, which change
// nothing. One program for each kind of request. Borrows all but that in f64; not synchronised.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "distributed/balanced_set.h"
#include "distributed/train_job.h"

namespace winnow {

class Prober {
 public:
  Prober(const TrainJob& job, const Network& network, ProgramCache& programs, BatchSource& source)
      : job_(job), network_(network), programs_(programs), params_(programs.params()), source_(source) {}

  // Collective, unless the input is all ones. `step`: of the random streams.
  ProbeResult probe(const ProbeRequest& request, std::int64_t step);
  void clear();  // gives the memory of large programs and of balanced sets back

 private:
  std::int64_t rows(const ProbeRequest& request) const;  // of one pass on this rank
  static std::string key_of(const ProbeRequest& request, std::int64_t rows);
  CompiledNetwork& compiled(const ProbeRequest& request);
  void bind_weights(CompiledNetwork& net, const ProbeRequest& request);
  std::span<const float> weights_of(std::size_t param, const ProbeRequest& request);
  std::vector<std::vector<float>> buffers_of(const ProbeRequest& request);
  struct Rows {
    std::span<float> images;
    std::span<std::int32_t> labels;
  };
  Rows rows_of_set(const ProbeRequest& request, std::int64_t pass);
  void feed(CompiledNetwork& net, const ProbeRequest& request, std::int64_t pass);
  ProbeResult probe_in_double(const ProbeRequest& request);

  const TrainJob& job_;
  const Network& network_;
  ProgramCache& programs_;
  ParamStore& params_;
  BatchSource& source_;
  std::map<std::string, CompiledNetwork*> nets_;
  std::map<std::pair<std::int64_t, std::int64_t>, BalancedSet> sets_;  // by examples of a class and number
  Tensor ones_;
  std::optional<DoubleNetwork> double_net_;  // of the last request in double, and what such have in common
  std::string double_key_;
};

}  // namespace winnow
