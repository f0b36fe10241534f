// Layers by NVIDIA's libraries: linear layers and 1x1 convolutions by cuBLASLt, other convolutions by cuDNN. Plans are for
// the device that is current in the calling thread; making one may synchronise with it. Thread-safe.
//
// All work of a run is queued on exec.stream, and a run neither allocates device memory nor synchronises, so it can be
// captured in a CUDA graph. Run a layer once before it is captured: a library loads a kernel into the device at its first
// launch, which capture may refuse (CUDA C++ Programming Guide, "Lazy Loading", "Issues with Lazy Loading").
#pragma once

#include <memory>

#include "kernels/layer.h"

namespace winnow::cuda::vendor {

// As Libraries (kernels/gpu_libraries.h) has them.
std::unique_ptr<PlannedLayer> make_layer(const ConvShape& shape, Direction direction);
std::unique_ptr<PlannedLayer> make_layer(const LinearShape& shape, Direction direction);

}  // namespace winnow::cuda::vendor
