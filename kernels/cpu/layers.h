// Which way of computing a layer is the fastest here.
#pragma once

#include <memory>
#include <vector>

#include "kernels/layer.h"

namespace winnow::cpu {

std::unique_ptr<PlannedLayer> make_layer(const ConvShape& shape, Direction direction, int threads);
std::unique_ptr<PlannedLayer> make_layer(const LinearShape& shape, Direction direction, int threads);

// Every way that can compute it here, for tests and benchmarks. The first is oneDNN's, or in bf16 on a processor
// without AVX-512 that of f32.
std::vector<std::unique_ptr<PlannedLayer>> every_layer(const ConvShape& shape, Direction direction, int threads);
std::vector<std::unique_ptr<PlannedLayer>> every_layer(const LinearShape& shape, Direction direction, int threads);

}  // namespace winnow::cpu
