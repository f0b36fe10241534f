// Convolutions and linear layers through oneDNN: primitives made once for one shape and direction
// and run many times. See layer.h for ownership and threads; oneDNN itself spreads the work over
// the layer's threads. onednn*.cpp alone see the library's headers.
#pragma once

#include <memory>

#include "kernels/layer.h"

namespace winnow::cpu {

std::unique_ptr<PlannedLayer> onednn_layer(const ConvShape& shape, Direction direction, int threads);
std::unique_ptr<PlannedLayer> onednn_layer(const LinearShape& shape, Direction direction, int threads);

}  // namespace winnow::cpu
