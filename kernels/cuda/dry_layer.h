// A layer on the dry device (kernels/dry.h): queues what the layer of a GPU would, in its order. As every PlannedLayer it is
// run by one thread at a time.
#pragma once

#include <memory>

#include "kernels/layer.h"

namespace winnow::cuda {

// Of a program that has the CUDA back end, what make_layer gives it: layers by NVIDIA's libraries where those are linked, else
// by their definition. Of another program, layers by all of the libraries.
std::unique_ptr<PlannedLayer> dry_layer(const ConvShape& shape, Direction direction);
std::unique_ptr<PlannedLayer> dry_layer(const LinearShape& shape, Direction direction);

}  // namespace winnow::cuda
