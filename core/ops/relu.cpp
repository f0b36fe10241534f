// relu and its reverse, which reads the output so that relu may run in place.
#include "core/double_ops.h"
#include "core/ops/dispatch.h"
#include "kernels/for_each.h"
#include "kernels/functors/activations.h"

namespace winnow::ops {
namespace {

void define_relu_backward() {
  define_op({
      .name = "relu_backward",
      .in_double = in_double::relu_backward,
      .infer = [](std::span<const ValueInfo> in, const Attrs&) { return same_as_inputs(in, 2); },
      .kernel = {.any = plain_kernel([](const KernelSpec&, const KernelCall& call) {
                   with_float_type(call.out[0].dtype, [&]<class T>() {
                     for_each(call.exec, call.out[0].numel(),
                              ReluBackward<T>{call.in[0].as<T>(), call.in[1].as<T>(), call.out[0].as<T>()});
                   });
                 })},
      .inplace = 0,
  });
}

}  // namespace

void define_relu() {
  define_op({
      .name = "relu",
      .in_double = in_double::relu,
      .role = OpRole::Activation,
      .infer = [](std::span<const ValueInfo> in, const Attrs&) { return same_as_inputs(in, 1); },
      .reverse =
          [](Reverse& r) {
            r.add(0, r.graph().emit1("relu_backward", {r.out_grad(0), r.node().out[0]}, {}, r.node().name + "/grad"));
          },
      .kernel = {.any = plain_kernel([](const KernelSpec&, const KernelCall& call) {
                   with_float_type(call.out[0].dtype, [&]<class T>() {
                     for_each(call.exec, call.out[0].numel(), Relu<T>{call.in[0].as<T>(), call.out[0].as<T>()});
                   });
                 })},
      .inplace = 0,
      .channels = every_dim_alike(),
      .examples = {{.label = "image", .in = {{{2, 3, 3, 5}}}}, {.label = "matrix", .in = {{{4, 10}}}}},
  });
  define_relu_backward();
}

}  // namespace winnow::ops
