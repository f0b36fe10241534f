// What a node of a program queues on a device, as the dry device tells it (kernels/dry.h). Plain values; node_work() is pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/graph.h"
#include "core/tensor.h"
#include "kernels/dry.h"

namespace winnow {

// A kernel that reads or writes a value: all of it but where it is given some part (`share`).
struct MemoryPass {
  ValueId value;
  bool is_write;
  double share = 1;
};

struct NodeWork {
  std::string op, name;
  bool is_layer = false;  // its outputs are activations
  std::int64_t macs = 0;
  std::size_t launches = 0, calls = 0;                // kernels of winnow, and calls of libraries
  std::size_t scratch_read = 0, scratch_written = 0;  // bytes of temporary memory
  std::vector<MemoryPass> passes = {};
};

// `in` and `out`: where the values of the node lie. A value that shares its memory with an input is written by the last
// launch that is given it, others by the first. Launches that several nodes share (`launches_count`: false) count for one.
NodeWork node_work(const Node& node, std::span<const TensorView> in, std::span<const TensorView> out,
                   std::span<const dry::Launch> launches, bool launches_count = true);

}  // namespace winnow
