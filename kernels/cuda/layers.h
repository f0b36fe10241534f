// The fastest way to compute a layer on CUDA; kernels/cpu/layers.h is its twin. Thread-safe.
#pragma once

#include <memory>

#include "kernels/layer.h"

namespace winnow::cuda {

std::unique_ptr<PlannedLayer> make_layer(const ConvShape& shape, Direction direction);
std::unique_ptr<PlannedLayer> make_layer(const LinearShape& shape, Direction direction);

}  // namespace winnow::cuda
