// A layer on the dry device (kernels/dry.h): queues what the layer of a GPU would, in its order. As every PlannedLayer it is
// run by one thread at a time.
#pragma once

#include <memory>

#include "kernels/layer.h"

namespace winnow::cuda {

// What make_layer gives a program that has the CUDA back end with all of NVIDIA's libraries.
std::unique_ptr<PlannedLayer> dry_layer(const ConvShape& shape, Direction direction);
std::unique_ptr<PlannedLayer> dry_layer(const LinearShape& shape, Direction direction);

}  // namespace winnow::cuda
