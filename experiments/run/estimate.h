// What a trial will cost, before it runs: counted from the graph, timed by a rule of thumb until
// finished trials are there to measure by (MeasuredTimes). Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/method.h"
#include "experiments/trial.h"

namespace winnow {

// Named as in the summary of a result (docs/formats.md).
struct TrialEstimate {
  std::int64_t params = 0;    // params.total
  std::int64_t kept = 0;      // params.kept
  bool kept_at_most = false;  // training makes zeros that cannot be foretold, so kept, macs_sparse and flops are bounds
  std::int64_t macs_dense = 0;     // macs.dense
  std::int64_t macs_sparse = 0;    // macs.sparse; how layers share a density is taken to be even where scores decide it
  std::int64_t memory_bytes = 0;   // of one rank
  double flops = 0;                // flops.train
  double seconds = 0;              // on one rank; kernels compute zeros too
  std::vector<Phase> phases = {};  // training runs, and the work between them
};

TrialEstimate estimate(const TrialSpec& spec);

// How finished trials compare with the rule of thumb.
class MeasuredTimes {
 public:
  // `estimated`: TrialEstimate::seconds of the trial, `taken`: what it took.
  void add(const TrialSpec& spec, double estimated, double taken);
  // Corrects an estimate: the median of taken / estimated over the finished trials that are nearest
  // (data, model and method; else data and model; else all); 1 without any.
  double factor(const TrialSpec& spec) const;
  std::size_t size() const { return seen_.size(); }

 private:
  struct Seen {
    std::string network, method;  // network: data and model
    double ratio = 1;
  };
  std::vector<Seen> seen_;
};

}  // namespace winnow
