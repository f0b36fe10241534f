#include "kernels/cuda/layers.h"

#include <utility>

#include "kernels/cuda/vendor/layers.h"
#include "kernels/direct_layer.h"

namespace winnow::cuda {
namespace {

// By a library where one is linked and has a way, else by the definition.
template <class LayerShape>
std::unique_ptr<PlannedLayer> fastest_layer(const LayerShape& shape, Direction direction) {
  std::unique_ptr<PlannedLayer> (*const by_vendor)(const LayerShape&, Direction) = vendor::make_layer;
  std::unique_ptr<PlannedLayer> layer = by_vendor != nullptr ? by_vendor(shape, direction) : nullptr;
  return layer ? std::move(layer) : std::make_unique<DirectLayer>(shape, direction);
}

}  // namespace

std::unique_ptr<PlannedLayer> make_layer(const ConvShape& shape, Direction direction) {
  return fastest_layer(shape, direction);
}
std::unique_ptr<PlannedLayer> make_layer(const LinearShape& shape, Direction direction) {
  return fastest_layer(shape, direction);
}

}  // namespace winnow::cuda
