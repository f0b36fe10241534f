#include "kernels/cuda/layers.h"

#include <utility>

#include "kernels/cuda/vendor/layer_rules.h"
#include "kernels/device.h"
#include "kernels/direct_layer.h"
#include "kernels/gpu_libraries.h"

namespace winnow::cuda {
namespace {

// By a library where one has a way, else by the definition; so in a program without the back end, which runs that on the host.
template <class LayerShape>
std::unique_ptr<PlannedLayer> fastest_layer(std::unique_ptr<PlannedLayer> (*Libraries::*way)(const LayerShape&,
                                                                                             Direction),
                                            const LayerShape& shape, Direction direction) {
  std::unique_ptr<PlannedLayer> by_library = open_stream != nullptr ? (libraries().*way)(shape, direction) : nullptr;
  return by_library ? std::move(by_library) : std::make_unique<DirectLayer>(shape, direction);
}

}  // namespace

std::unique_ptr<PlannedLayer> make_layer(const ConvShape& shape, Direction direction) {
  std::unique_ptr<PlannedLayer> layer = fastest_layer(&Libraries::convolution, shape, direction);
  if (!shape.sums || layer->writes_sums()) return layer;
  // The best way to do without: a library may have one.
  ConvShape plain = shape;
  plain.sums = false;
  return fastest_layer(&Libraries::convolution, plain, direction);
}
std::unique_ptr<PlannedLayer> make_layer(const LinearShape& shape, Direction direction) {
  return fastest_layer(&Libraries::linear, shape, direction);
}

std::int64_t wanted_channels(const ConvShape& shape) {
  return vendor::is_matrix_product(shape) ? shape.in : vendor::padded_shape(shape).in;
}

}  // namespace winnow::cuda
