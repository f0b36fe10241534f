// A training run as a device would do it, planned and not done (kernels/dry.h): what a step queues, and the memory that it
// all takes. Needs no device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/node_work.h"
#include "distributed/network.h"

namespace winnow {

struct DryRun {
  // Of a value that some node reads or writes.
  struct Value {
    Shape shape;
    DType dtype;
    std::size_t bytes() const { return static_cast<std::size_t>(shape.numel() * size_of(dtype)); }
  };
  struct Part {
    std::vector<NodeWork> nodes;
    std::vector<Value> values;  // by ValueId
    std::int64_t times = 1;     // in a step
  };
  // The training program with its log, the update, what computes the point of an optimiser of two passes, the batch.
  std::vector<Part> parts;
  // Bytes, without what libraries ask for.
  std::size_t params = 0;      // weights, gradients, slots, masks, buffers
  std::size_t arena = 0;       // of the training program
  std::size_t scratch = 0;     // of the training program and the update
  std::size_t evaluation = 0;  // arena and scratch
  std::size_t batches = 0;     // of training and evaluation
  std::size_t workspace = 0;   // the most that libraries may ask for besides
  FusedStatistics statistics = {};
  std::size_t total() const { return params + arena + scratch + evaluation + batches; }
};

// `rows`: of this rank, in training and in evaluation.
DryRun dry_run(const Network& network, Method& method, const Settings& train, std::int64_t rows,
               std::int64_t eval_rows);

}  // namespace winnow
