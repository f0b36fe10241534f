// add_sign (attr strength): x + strength * sign(w), the gradient of a loss with strength * |w| added. The sign of zero is
// zero.
#include "core/ops/dispatch.h"
#include "kernels/for_each.h"
#include "kernels/functors/elementwise.h"

namespace winnow::ops {

void define_add_sign() {
  define_op({
      .name = "add_sign",
      .infer =
          [](std::span<const ValueInfo> in, const Attrs& attrs) {
            attrs.real("strength");
            return same_as_inputs(in, 2);
          },
      .reverse = [](Reverse& r) { r.add(0, r.out_grad(0)); },
      .kernel = {.any = plain_kernel([](const KernelSpec& spec, const KernelCall& call) {
                   with_float_type(call.out[0].dtype, [&]<class T>() {
                     for_each(call.exec, call.out[0].numel(),
                              AddSign<T>{call.in[0].as<T>(), call.in[1].as<T>(), call.out[0].as<T>(),
                                         spec.real("strength")});
                   });
                 })},
      .inplace = 0,
      .examples =
          {{.label = "channels", .in = {{{7}}, {{7}}}, .attrs = {{"strength", 0.25}}, .differentiable = {0}},
           {.label = "matrix", .in = {{{4, 10}}, {{4, 10}}}, .attrs = {{"strength", 0.5}}, .differentiable = {0}}},
  });
}

}  // namespace winnow::ops
