#include "core/double_program.h"

#include <utility>

#include "core/error.h"
#include "core/op.h"

namespace winnow {

DoubleProgram::DoubleProgram(Graph graph, std::span<const ValueId> outputs, int threads)
    : graph_(std::move(graph)), order_(graph_.schedule(outputs)), values_(graph_.value_count()), threads_(threads) {
  for (const NodeId at : order_) {
    const Node& node = graph_.nodes()[at];
    if (find_op(node.op).in_double == nullptr) {
      fail(ErrorKind::Settings, "node '{}': {} is not defined in double precision", node.name, node.op);
    }
  }
}

void DoubleProgram::check_count(ValueId leaf, std::size_t values) const {
  if (static_cast<std::int64_t>(values) == graph_.value(leaf).shape.numel()) return;
  fail(ErrorKind::Internal, "{} values for leaf '{}' of shape {}", values, graph_.value(leaf).name,
       graph_.value(leaf).shape.text());
}

void DoubleProgram::set(ValueId leaf, std::span<const float> values) {
  check_count(leaf, values.size());
  values_[static_cast<std::size_t>(leaf)].assign(values.begin(), values.end());
}

void DoubleProgram::set(ValueId leaf, std::span<const double> values) {
  check_count(leaf, values.size());
  values_[static_cast<std::size_t>(leaf)].assign(values.begin(), values.end());
}

void DoubleProgram::run() {
  for (const NodeId at : order_) {
    const Node& node = graph_.nodes()[at];
    std::vector<ValueInfo> in_info, out_info;
    std::vector<const double*> in;
    std::vector<double*> out;
    for (const ValueId id : node.in) {
      const bool present = id != kNoValue;
      if (present && value(id).empty() && graph_.value(id).shape.numel() > 0) {
        fail(ErrorKind::Internal, "node '{}' reads '{}', which has no value", node.name, graph_.value(id).name);
      }
      in_info.push_back(present ? graph_.value(id) : ValueInfo{});
      in.push_back(present ? value(id).data() : nullptr);
    }
    for (const ValueId id : node.out) {
      out_info.push_back(graph_.value(id));
      auto& values = values_[static_cast<std::size_t>(id)];
      values.assign(static_cast<std::size_t>(out_info.back().shape.numel()), 0.0);
      out.push_back(values.data());
    }
    find_op(node.op).in_double({node, in_info, out_info, in, out, threads_});
  }
}

}  // namespace winnow
