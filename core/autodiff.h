// Source-to-source reverse pass: gradient nodes are emitted into the same graph.
#pragma once

#include <span>
#include <vector>

#include "core/graph.h"

namespace winnow {

struct Gradient {
  ValueId of;    // a leaf
  ValueId grad;  // its gradient, or kNoValue if the loss does not depend on it
};

// d(loss)/d(each wanted leaf). `loss` has one element; its seed gradient is 1. The result is in the
// order in which the gradients become final, the same on all ranks: that list drives the buckets of the all-reduce.
std::vector<Gradient> differentiate(Graph& graph, ValueId loss, std::span<const ValueId> wanted);

}  // namespace winnow
