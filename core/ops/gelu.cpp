// gelu with the error function, and its reverse.
#include "kernels/functors/gelu.h"

#include "core/double_ops.h"
#include "core/ops/dispatch.h"
#include "kernels/for_each.h"

namespace winnow::ops {

void define_gelu() {
  define_op({
      .name = "gelu",
      .in_double = in_double::gelu,
      .role = OpRole::Activation,
      .infer = [](std::span<const ValueInfo> in, const Attrs&) { return same_as_inputs(in, 1); },
      .reverse =
          [](Reverse& r) {
            r.add(0, r.graph().emit1("gelu_backward", {r.out_grad(0), r.node().in[0]}, {}, r.node().name + "/grad"));
          },
      .kernel = {.any = plain_kernel([](const KernelSpec&, const KernelCall& call) {
                   with_float_type(call.out[0].dtype, [&]<class T>() {
                     for_each(call.exec, call.out[0].numel(), Gelu<T>{call.in[0].as<T>(), call.out[0].as<T>()}, 2048);
                   });
                 })},
      .inplace = 0,
      .channels = every_dim_alike(),
      .examples = {{.label = "tokens", .in = {{{2, 3, 5}}}, .low = -4, .high = 4}},
  });
  define_op({
      .name = "gelu_backward",
      .in_double = in_double::gelu_backward,
      .infer = [](std::span<const ValueInfo> in, const Attrs&) { return same_as_inputs(in, 2); },
      .kernel = {.any = plain_kernel([](const KernelSpec&, const KernelCall& call) {
                   with_float_type(call.out[0].dtype, [&]<class T>() {
                     for_each(call.exec, call.out[0].numel(),
                              GeluBackward<T>{call.in[0].as<T>(), call.in[1].as<T>(), call.out[0].as<T>()}, 2048);
                   });
                 })},
      .inplace = 0,
  });
}

}  // namespace winnow::ops
