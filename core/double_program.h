// Runs a graph in double precision on the host, one node after the other: for scores that choose masks before
// training, whose order must not depend on rounding. A reference and not a fast path: it allocates, and it is told
// from the kernels only by their results (tests/core/double_program_test.cpp). Owns its values; not synchronised.
#pragma once

#include <span>
#include <vector>

#include "core/graph.h"

namespace winnow {

class DoubleProgram {
 public:
  // Error{Settings} naming the first node whose op is not defined in double precision.
  DoubleProgram(Graph graph, std::span<const ValueId> outputs, int threads);

  // Value of a leaf. Every leaf that the outputs need must have one before run().
  void set(ValueId leaf, std::span<const float> values);
  void set(ValueId leaf, std::span<const double> values);
  void run();
  const std::vector<double>& value(ValueId id) const { return values_.at(static_cast<std::size_t>(id)); }
  const Shape& shape(ValueId id) const { return graph_.value(id).shape; }

 private:
  void check_count(ValueId leaf, std::size_t values) const;
  Graph graph_;
  std::vector<NodeId> order_;
  std::vector<std::vector<double>> values_;  // by ValueId; empty where nothing was computed
  int threads_;
};

}  // namespace winnow
