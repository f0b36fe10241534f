// Graph to graph, as the passes of core/passes.h: a pure function of the graph, the same result on every rank.
#pragma once

#include <span>

#include "core/graph.h"

namespace winnow {

// After differentiate(), for devices: where f32 images become bf16 for convolutions alone whose library wants more channels than
// they have (1 or 3), the cast writes so many, with zeros behind those of the images (attribute `channels`), and no convolution
// pads them at each run (attribute `in_channels`, of those that count). Neither the images nor any result change by a bit.
void fit_channels(Graph& graph, std::span<const ValueId> outputs);

}  // namespace winnow
