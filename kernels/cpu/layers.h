// Which way of computing a layer is the fastest here.
#pragma once

#include <memory>
#include <vector>

#include "kernels/layer.h"

namespace winnow::cpu {

// Throws what oneDNN throws when nothing here can compute it (bf16 without AVX-512).
std::unique_ptr<PlannedLayer> make_layer(const ConvShape& shape, Direction direction, int threads);
std::unique_ptr<PlannedLayer> make_layer(const LinearShape& shape, Direction direction, int threads);

// Every way that can compute it here, for tests and benchmarks; oneDNN's is the first.
std::vector<std::unique_ptr<PlannedLayer>> every_layer(const ConvShape& shape, Direction direction, int threads);
std::vector<std::unique_ptr<PlannedLayer>> every_layer(const LinearShape& shape, Direction direction, int threads);

}  // namespace winnow::cpu
