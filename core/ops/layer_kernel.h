// What conv2d and linear share, which differ in their shape alone: three directions, each an op
// with one PlannedLayer as its kernel. For core/ops/ only.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <type_traits>

#include "core/error.h"
#include "core/op.h"
#include "core/ops/dispatch.h"
#include "core/ops/output_sums.h"
#include "kernels/cpu/layers.h"
#include "kernels/cuda/dry_layer.h"
#include "kernels/cuda/layers.h"
#include "kernels/for_each.h"
#include "kernels/functors/add_bias.h"

namespace winnow::ops {

// Where the operands of a layer are in a node's inputs and outputs, by direction:
//   Forward          in x, weights, bias?   out y, sums?
//   BackwardData     in dy, weights         out dx
//   BackwardWeights  in x, dy               out dweights, dbias?
// With attribute "relu" the forward layer has no bias of its own: bias and ReLU follow it in one pass.
template <class LayerShape>
class LayerKernel final : public Kernel {
 public:
  LayerKernel(const LayerShape& shape, Direction direction, bool relu, std::unique_ptr<PlannedLayer> layer)
      : layer_(std::move(layer)), direction_(direction), bias_(shape.bias), relu_(relu) {
    if constexpr (std::is_same_v<LayerShape, ConvShape>) {
      sums_ = shape.sums && layer_->writes_sums();
      if (shape.sums && !sums_) own_sums_.emplace(shape);
    }
  }
  std::size_t scratch_bytes() const override {
    return std::max(layer_->scratch_bytes(), own_sums_ ? own_sums_->scratch_bytes() : 0);
  }
  void run(const KernelCall& call) override {
    const auto in = [&](std::size_t i) { return call.in[i].data; };
    const auto out = [&](std::size_t i) { return call.out[i].data; };
    switch (direction_) {
      case Direction::Forward:
        layer_->run({in(0), in(1), bias_ ? in(2) : nullptr, out(0), sums_ ? out(1) : nullptr}, call.exec);
        if (own_sums_) own_sums_->run(call.exec, out(0), call.out[1].as<float>());
        if (relu_) add_bias_and_relu(call);
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
  static void add_bias_and_relu(const KernelCall& call) {
    with_float_type(call.out[0].dtype, [&]<class T>() {
      T* y = call.out[0].as<T>();
      const std::int64_t channels = call.in[2].numel();
      for_each(call.exec, call.out[0].numel(), AddBiasRelu<T>{{call.in[2].as<float>(), y, y, channels}});
    });
  }
  std::unique_ptr<PlannedLayer> layer_;
  Direction direction_;
  bool bias_, relu_, sums_ = false;
  std::optional<OutputSums> own_sums_;  // where the layer does not write them
};

inline bool has_relu(const Attrs& attrs) { return attrs.integer("relu", 0) != 0; }

// `shape_of(direction, in, out, attrs)` reads the layer's shape from a node, `make(shape, direction, spec)` picks a layer.
template <class ShapeOf, class Make>
KernelMaker layer_maker(Direction direction, ShapeOf shape_of, Make make) {
  return [direction, shape_of, make](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
    auto shape = shape_of(direction, spec.in, spec.out, spec.node.attrs);
    const bool relu = direction == Direction::Forward && has_relu(spec.node.attrs);
    if (relu) shape.bias = false;
    return std::make_unique<LayerKernel<decltype(shape)>>(shape, direction, relu, make(shape, direction, spec));
  };
}

// The bias is the last input of the forward op and may be absent or left out.
inline bool has_bias(std::span<const ValueInfo> in) { return in.size() == 3 && in[2].shape.rank() == 1; }

struct LayerRules {
  decltype(OpDef::infer) forward, backward_data, backward_weights;
  DoubleOp double_forward, double_backward_data, double_backward_weights;
  decltype(OpDef::reverse) reverse;
  ChannelRule channels;
  decltype(OpDef::sums_come_along) sums_come_along = {};
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
  forward.sums_come_along = rules.sums_come_along;
  forward.examples = std::move(examples);
  define_op(std::move(forward));
  define_op(direction("_backward_data", Direction::BackwardData, rules.backward_data, rules.double_backward_data));
  define_op(direction("_backward_weights", Direction::BackwardWeights, rules.backward_weights,
                      rules.double_backward_weights));
}

}  // namespace winnow::ops
