// For tests of kernels: one node with inputs of its own, run by any kernel of its op on the host. Each run has fresh copies of
// inputs, outputs and scratch, so nothing of one is left for the next. Not synchronised.
#pragma once

#include <string>
#include <vector>

#include "core/op.h"
#include "core/tensor.h"
#include "tests/core/op_trial.h"

namespace winnow::test {

class NodeRun {
 public:
  // Everything a run may have written.
  struct Result {
    std::vector<Tensor> out, in;
    RunStatus status;
    bool operator==(const Result& other) const;  // bit by bit
  };
  struct How {
    int threads = 1;
    bool in_place = false;  // output 0 lies in the memory that the op allows
  };

  NodeRun(const Node& node, std::vector<ValueInfo> in_info, std::vector<ValueInfo> out_info, std::vector<Tensor> in);
  NodeRun(NodeRun&&) = default;

  const Node& node() const { return node_; }
  const ValueInfo& input_info(std::size_t i) const { return in_info_.at(i); }
  std::size_t input_count() const { return in_.size(); }
  Tensor& input(std::size_t i) { return in_.at(i); }
  const Tensor& input(std::size_t i) const { return in_.at(i); }
  void leave_out(std::size_t i);  // an optional input
  bool can_be_in_place() const;

  Result run(const KernelMaker& maker, const RunFeed& feed, How how) const;
  Result run(const KernelMaker& maker, const RunFeed& feed) const { return run(maker, feed, How{}); }
  // By OpDef::in_double.
  std::vector<std::vector<double>> outputs_in_double() const;

 private:
  Node node_;
  std::vector<ValueInfo> in_info_, out_info_;
  std::vector<Tensor> in_;  // those left out are empty
};

// The nodes of a trial and of its gradient of which `wanted` holds, with the inputs that a run of the trial gives them.
std::vector<NodeRun> node_runs(OpTrial& trial, const RunFeed& feed, bool (*wanted)(const OpDef&));

}  // namespace winnow::test
