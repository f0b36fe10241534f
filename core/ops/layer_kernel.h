// What conv2d and linear share, which differ in their shape alone: three directions, each an op
// with one PlannedLayer as its kernel. For core/ops/ only.
#pragma once

#include <memory>
#include <type_traits>

#include "core/error.h"
#include "core/op.h"
#include "kernels/cpu/layers.h"
#include "kernels/cuda/dry_layer.h"
#include "kernels/cuda/layers.h"

namespace winnow::ops {

// Where the operands of a layer are in a node's inputs and outputs, by direction:
//   Forward          in x, weights, bias?   out y
//   BackwardData     in dy, weights         out dx
//   BackwardWeights  in x, dy               out dweights, dbias?
template <class LayerShape>
class LayerKernel final : public Kernel {
 public:
  LayerKernel(const LayerShape& shape, Direction direction, std::unique_ptr<PlannedLayer> layer)
      : layer_(std::move(layer)), direction_(direction), bias_(shape.bias) {}
  std::size_t scratch_bytes() const override { return layer_->scratch_bytes(); }
  void run(const KernelCall& call) override {
    const auto in = [&](std::size_t i) { return call.in[i].data; };
    const auto out = [&](std::size_t i) { return call.out[i].data; };
    switch (direction_) {
      case Direction::Forward:
        layer_->run({in(0), in(1), bias_ ? in(2) : nullptr, out(0)}, call.exec);
        break;
      case Direction::BackwardData:
        layer_->run({out(0), in(1), nullptr, in(0)}, call.exec);
        break;
      case Direction::BackwardWeights:
        layer_->run({in(0), out(0), bias_ ? out(1) : nullptr, in(1)}, call.exec);
        break;
    }
  }

 private:
  std::unique_ptr<PlannedLayer> layer_;
  Direction direction_;
  bool bias_;
};

// `shape_of(direction, in, out, attrs)` reads the layer's shape from a node, `make(shape, direction, spec)` picks a layer.
template <class ShapeOf, class Make>
KernelMaker layer_maker(Direction direction, ShapeOf shape_of, Make make) {
  return [direction, shape_of, make](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
    const auto shape = shape_of(direction, spec.in, spec.out, spec.node.attrs);
    return std::make_unique<LayerKernel<std::remove_const_t<decltype(shape)>>>(shape, direction,
                                                                               make(shape, direction, spec));
  };
}

// The bias is the last input of the forward op and may be absent or left out.
inline bool has_bias(std::span<const ValueInfo> in) { return in.size() == 3 && in[2].shape.rank() == 1; }

struct LayerRules {
  decltype(OpDef::infer) forward, backward_data, backward_weights;
  DoubleOp double_forward, double_backward_data, double_backward_weights;
  decltype(OpDef::reverse) reverse;
  ChannelRule channels;
};

// Defines `name`, `name`_backward_data and `name`_backward_weights.
template <class ShapeOf>
void define_layer(const std::string& name, const LayerRules& rules, ShapeOf shape_of, std::vector<OpExample> examples) {
  const auto direction = [&](const char* suffix, Direction which, const auto& infer, DoubleOp in_double) {
    OpDef op{.name = name + suffix, .in_double = in_double, .infer = infer};
    op.macs = [which, shape_of](auto in, auto out, const Attrs& attrs) {
      return shape_of(which, in, out, attrs).macs();
    };
    op.kernel.cpu = layer_maker(which, shape_of, [](const auto& shape, Direction d, const KernelSpec& spec) {
      return cpu::make_layer(shape, d, spec.threads);
    });
    op.kernel.cuda = layer_maker(which, shape_of, [](const auto& shape, Direction d, const KernelSpec& spec) {
      return spec.device == Device::Dry ? cuda::dry_layer(shape, d) : cuda::make_layer(shape, d);
    });
    return op;
  };
  OpDef forward = direction("", Direction::Forward, rules.forward, rules.double_forward);
  forward.role = OpRole::Layer;
  forward.reverse = rules.reverse;
  forward.channels = rules.channels;
  forward.examples = std::move(examples);
  define_op(std::move(forward));
  define_op(direction("_backward_data", Direction::BackwardData, rules.backward_data, rules.double_backward_data));
  define_op(direction("_backward_weights", Direction::BackwardWeights, rules.backward_weights,
                      rules.double_backward_weights));
}

}  // namespace winnow::ops
