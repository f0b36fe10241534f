// divide_positive: x / d, element by element, and 0 where d is not above zero. For updates: it has no reverse.
#include "core/ops/dispatch.h"
#include "kernels/for_each.h"
#include "kernels/functors/elementwise.h"

namespace winnow::ops {

void define_divide_positive() {
  define_op({
      .name = "divide_positive",
      .infer = [](std::span<const ValueInfo> in, const Attrs&) { return same_as_inputs(in, 2); },
      .kernel = {.any = plain_kernel([](const KernelSpec&, const KernelCall& call) {
                   with_float_type(call.out[0].dtype, [&]<class T>() {
                     for_each(call.exec, call.out[0].numel(),
                              DividePositive<T>{call.in[0].as<T>(), call.in[1].as<T>(), call.out[0].as<T>()});
                   });
                 })},
      .inplace = 0,
      .examples = {{.label = "matrix", .in = {{{4, 10}}, {{4, 10}}}, .gradient = OpExample::Gradient::None}},
  });
}

}  // namespace winnow::ops
