// at_least: the larger of x and attribute value, element by element. A projection of updates: it has no reverse.
#include "core/ops/dispatch.h"
#include "kernels/for_each.h"
#include "kernels/functors/elementwise.h"

namespace winnow::ops {

void define_at_least() {
  define_op({
      .name = "at_least",
      .infer =
          [](std::span<const ValueInfo> in, const Attrs& attrs) {
            attrs.real("value");
            return same_as_inputs(in, 1);
          },
      .kernel = {.any = plain_kernel([](const KernelSpec& spec, const KernelCall& call) {
                   with_float_type(call.out[0].dtype, [&]<class T>() {
                     for_each(call.exec, call.out[0].numel(),
                              AtLeast<T>{call.in[0].as<T>(), call.out[0].as<T>(), spec.real("value")});
                   });
                 })},
      .inplace = 0,
      .examples =
          {{.label = "zero", .in = {{{4, 10}}}, .attrs = {{"value", 0.0}}, .gradient = OpExample::Gradient::None}},
  });
}

}  // namespace winnow::ops
