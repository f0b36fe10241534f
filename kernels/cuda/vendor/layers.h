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

// Null where the libraries have no way, or this build has not the library. Operands must be 16-byte aligned.
// Weak, as in kernels/for_each.h: programs without a CUDA back end link, and never get here.
[[gnu::weak]] std::unique_ptr<PlannedLayer> make_layer(const ConvShape& shape, Direction direction);
[[gnu::weak]] std::unique_ptr<PlannedLayer> make_layer(const LinearShape& shape, Direction direction);

}  // namespace winnow::cuda::vendor
