// The shape of the layer that a conv2d node or one of its gradients is. Pure; for core/ops/ and passes that ask for it.
#pragma once

#include "core/graph.h"
#include "kernels/layer.h"

namespace winnow::ops {

// From what every direction knows: extents of x and of the weights, and the node's attributes.
inline ConvShape conv_shape(const Shape& x, const Shape& w, const Attrs& attrs, DType dtype, bool bias) {
  return {.batch = x[0],
          .height = x[1],
          .width = x[2],
          .in = attrs.integer("in_channels", x[3]),
          .out = w[0],
          .kernel_h = w[2],
          .kernel_w = w[3],
          .stride = attrs.integer("stride", 1),
          .pad = attrs.integer("pad", 0),
          .groups = attrs.integer("groups", 1),
          .dtype = dtype,
          .bias = bias,
          .padded_in = attrs.has("in_channels") ? x[3] : 0};
}

}  // namespace winnow::ops
