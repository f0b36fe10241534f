// What lies between two values of a network. Pure functions of the graph.
#pragma once

#include <optional>
#include <set>

#include "core/model.h"

namespace winnow {

// Nodes with the role Layer on a path from `from` to `to`.
std::set<NodeId> layers_between(const Graph& graph, ValueId from, ValueId to);

// The end of a region's residual branch: of the two values that its last addition takes, the one with more layers on
// the way from the region's entry. Nothing if the region does not end in an addition, or is more than one block: on the
// other way there is at most a projection.
std::optional<ValueId> branch_end(const Graph& graph, const Region& region);

}  // namespace winnow
