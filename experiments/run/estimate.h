// What a trial will cost, before it runs: counted from the graph, timed by what this machine does in a second (MachineSpeed) until
// finished trials are there to measure by (MeasuredRatios). Plain values.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/method.h"
#include "experiments/run/machine_speed.h"
#include "experiments/trial.h"
#include "experiments/trial_table.h"

namespace winnow {

// Named as in the summary of a result (docs/formats.md).
struct TrialEstimate {
  std::int64_t params = 0;    // params.total
  std::int64_t kept = 0;      // params.kept
  bool kept_at_most = false;  // training makes zeros that cannot be foretold, so kept, macs_sparse and flops are bounds
  bool equal_shares = false;  // they are estimates, for training decides how much of each layer is removed
  std::int64_t macs_dense = 0;    // macs.dense
  std::int64_t macs_sparse = 0;   // macs.sparse; how layers share a density is taken to be even where scores decide it
  std::int64_t memory_bytes = 0;  // of one rank
  double flops = 0;               // flops.train
  double seconds = 0;             // on one rank; kernels compute zeros too
  double result_bytes = 0, checkpoint_bytes = 0;  // of its file, and of each of its checkpoints
  std::int64_t epochs = 0;                        // of all training runs
  std::vector<Phase> phases = {};                 // training runs, and the work between them
};

// `core`: what computes it; costs by which trials are ordered and dealt out are those of the reference.
TrialEstimate estimate(const TrialSpec& spec, const MachineSpeed& core = kReferenceSpeed);

// The same for the trials of a sweep: those that differ in rates alone are estimated once. For one thread.
class Estimator {
 public:
  explicit Estimator(const MachineSpeed& core = kReferenceSpeed) : core_(core) {}
  const TrialEstimate& operator()(const TrialSpec& spec);  // good until the next call

 private:
  MachineSpeed core_;
  std::unordered_map<std::string, TrialEstimate> known_;  // by cost_key
};

// How finished trials compare with what was estimated of them.
class MeasuredRatios {
 public:
  // `estimated`: of the trial, `taken`: what it took.
  void add(const TrialTable& trials, std::size_t at, double estimated, double taken);
  // Corrects the estimate of a trial: the median of taken / estimated over the finished trials that are nearest
  // (data, model and method; else data and model; else all); 1 without any.
  double factor(const TrialTable& trials, std::size_t at) const;
  // Of each trial of a table, asked for one after the other: those of one data, model and method have the same.
  std::function<double(std::size_t at)> factors(const TrialTable& trials) const;
  std::size_t size() const { return size_; }

 private:
  using Ratios = std::vector<double>;
  std::map<std::string, std::map<std::string, Ratios>> seen_;  // by data and model, and by method
  std::size_t size_ = 0;
};

}  // namespace winnow
