// add: elementwise sum of two tensors of one shape and type.
#include "core/double_ops.h"
#include "core/ops/dispatch.h"
#include "kernels/for_each.h"
#include "kernels/functors/elementwise.h"

namespace winnow::ops {

void define_add() {
  define_op({
      .name = "add",
      .in_double = in_double::add,
      .infer = [](std::span<const ValueInfo> in, const Attrs&) { return same_as_inputs(in, 2); },
      .reverse =
          [](Reverse& r) {
            r.add(0, r.out_grad(0));
            r.add(1, r.out_grad(0));
          },
      .kernel = {.any = plain_kernel([](const KernelSpec&, const KernelCall& call) {
                   with_float_type(call.out[0].dtype, [&]<class T>() {
                     for_each(call.exec, call.out[0].numel(),
                              Add<T>{call.in[0].as<T>(), call.in[1].as<T>(), call.out[0].as<T>()});
                   });
                 })},
      .inplace = 0,
      .channels = every_dim_alike(),
      .examples = {{.label = "image", .in = {{{2, 3, 3, 5}}, {{2, 3, 3, 5}}}}},
  });
}

}  // namespace winnow::ops
