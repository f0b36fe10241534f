// exp: y = e^x, entry by entry.
#include "core/double_ops.h"
#include "core/ops/dispatch.h"
#include "kernels/for_each.h"
#include "kernels/functors/soft_threshold.h"

namespace winnow::ops {

void define_exp() {
  define_op({
      .name = "exp",
      .in_double = in_double::exponential,
      .infer = [](std::span<const ValueInfo> in, const Attrs&) { return same_as_inputs(in, 1); },
      .reverse =
          [](Reverse& r) {
            r.add(0, r.graph().emit1("mul", {r.out_grad(0), r.node().out[0]}, {}, r.node().name + "/grad"));
          },
      .kernel = {.any = plain_kernel([](const KernelSpec&, const KernelCall& call) {
                   with_float_type(call.out[0].dtype, [&]<class T>() {
                     for_each(call.exec, call.out[0].numel(), Exp<T>{call.in[0].as<T>(), call.out[0].as<T>()}, 2048);
                   });
                 })},
      .inplace = 0,
      .examples = {{.label = "matrix", .in = {{{4, 10}}}, .low = -2, .high = 2}},
  });
}

}  // namespace winnow::ops
