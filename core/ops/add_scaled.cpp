// add_scaled (attr factor): x + factor * z, element by element. For updates: it has no reverse.
#include "core/ops/dispatch.h"
#include "kernels/for_each.h"
#include "kernels/functors/elementwise.h"

namespace winnow::ops {

void define_add_scaled() {
  define_op({
      .name = "add_scaled",
      .infer =
          [](std::span<const ValueInfo> in, const Attrs& attrs) {
            attrs.real("factor");
            return same_as_inputs(in, 2);
          },
      .kernel = {.any = plain_kernel([](const KernelSpec& spec, const KernelCall& call) {
                   with_float_type(call.out[0].dtype, [&]<class T>() {
                     for_each(call.exec, call.out[0].numel(),
                              AddScaled<T>{call.in[0].as<T>(), call.in[1].as<T>(), call.out[0].as<T>(),
                                           spec.real("factor")});
                   });
                 })},
      .inplace = 0,
      .examples = {{.label = "matrix",
                    .in = {{{4, 10}}, {{4, 10}}},
                    .attrs = {{"factor", 0.25}},
                    .gradient = OpExample::Gradient::None}},
  });
}

}  // namespace winnow::ops
