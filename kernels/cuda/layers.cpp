#include "kernels/cuda/layers.h"

#include <utility>

#include "kernels/direct_layer.h"
#include "kernels/gpu_libraries.h"

namespace winnow::cuda {
namespace {

// By a library where one has a way, else by the definition.
template <class LayerShape>
std::unique_ptr<PlannedLayer> fastest_layer(std::unique_ptr<PlannedLayer> by_library, const LayerShape& shape,
                                            Direction direction) {
  return by_library ? std::move(by_library) : std::make_unique<DirectLayer>(shape, direction);
}

}  // namespace

std::unique_ptr<PlannedLayer> make_layer(const ConvShape& shape, Direction direction) {
  return fastest_layer(libraries().convolution(shape, direction), shape, direction);
}
std::unique_ptr<PlannedLayer> make_layer(const LinearShape& shape, Direction direction) {
  return fastest_layer(libraries().linear(shape, direction), shape, direction);
}

}  // namespace winnow::cuda
