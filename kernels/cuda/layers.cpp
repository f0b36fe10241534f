#include "kernels/cuda/layers.h"

#include "kernels/direct_layer.h"

namespace winnow::cuda {

std::unique_ptr<PlannedLayer> make_layer(const ConvShape& shape, Direction direction) {
  return std::make_unique<DirectLayer>(shape, direction);
}
std::unique_ptr<PlannedLayer> make_layer(const LinearShape& shape, Direction direction) {
  return std::make_unique<DirectLayer>(shape, direction);
}

}  // namespace winnow::cuda
