// sigmoid and its reverse, which reads the output so that sigmoid may run in place.
#include "kernels/functors/sigmoid.h"
#include "core/double_ops.h"
#include "core/ops/dispatch.h"
#include "kernels/for_each.h"

namespace winnow::ops {

void define_sigmoid() {
  define_op({
      .name = "sigmoid",
      .in_double = in_double::sigmoid,
      .role = OpRole::Activation,
      .infer = [](std::span<const ValueInfo> in, const Attrs&) { return same_as_inputs(in, 1); },
      .reverse =
          [](Reverse& r) {
            r.add(0,
                  r.graph().emit1("sigmoid_backward", {r.out_grad(0), r.node().out[0]}, {}, r.node().name + "/grad"));
          },
      .kernel =
          {.any = plain_kernel([](const KernelSpec&, const KernelCall& call) {
             with_float_type(call.out[0].dtype, [&]<class T>() {
               for_each(call.exec, call.out[0].numel(), Sigmoid<T>{call.in[0].as<T>(), call.out[0].as<T>()}, 2048);
             });
           })},
      .inplace = 0,
      .examples = {{.label = "matrix", .in = {{{4, 10}}}, .low = -4, .high = 4}},
  });
  define_op({
      .name = "sigmoid_backward",
      .in_double = in_double::sigmoid_backward,
      .infer = [](std::span<const ValueInfo> in, const Attrs&) { return same_as_inputs(in, 2); },
      .kernel = {.any = plain_kernel([](const KernelSpec&, const KernelCall& call) {
                   with_float_type(call.out[0].dtype, [&]<class T>() {
                     for_each(call.exec, call.out[0].numel(),
                              SigmoidBackward<T>{call.in[0].as<T>(), call.in[1].as<T>(), call.out[0].as<T>()});
                   });
                 })},
      .inplace = 0,
  });
}

}  // namespace winnow::ops
