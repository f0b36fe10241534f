// The fastest way to compute a layer on CUDA; kernels/cpu/layers.h is its twin. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>

#include "kernels/layer.h"

namespace winnow::cuda {

std::unique_ptr<PlannedLayer> make_layer(const ConvShape& shape, Direction direction);
std::unique_ptr<PlannedLayer> make_layer(const LinearShape& shape, Direction direction);

// In how many channels such a layer wants x, zeros behind its own (ConvShape::padded_in), so that it need not pad x at each run.
std::int64_t wanted_channels(const ConvShape& shape);

}  // namespace winnow::cuda
