// cast: f32 <-> bf16, rounded to nearest even.
#include "core/double_ops.h"
#include "core/ops/dispatch.h"
#include "kernels/for_each.h"
#include "kernels/functors/elementwise.h"

namespace winnow::ops {

void define_cast() {
  define_op({
      .name = "cast",
      .in_double = in_double::copy,
      .infer = [](std::span<const ValueInfo> in, const Attrs& attrs) -> std::vector<ValueInfo> {
        require(in.size() == 1 && is_float(in[0].dtype), "takes one f32 or bf16 input");
        const std::string& dtype = attrs.text("dtype");
        require(dtype == "f32" || dtype == "bf16", "attribute dtype must be f32 or bf16, not " + dtype);
        return {{in[0].shape, dtype == "f32" ? DType::F32 : DType::BF16}};
      },
      .reverse =
          [](Reverse& r) {
            const DType from = r.graph().value(r.node().in[0]).dtype;
            r.add(0, r.graph().emit1("cast", {r.out_grad(0)}, {{"dtype", std::string(name_of(from))}},
                                     r.node().name + "/grad"));
          },
      .kernel = {.any = plain_kernel([](const KernelSpec&, const KernelCall& call) {
                   const TensorView &x = call.in[0], &y = call.out[0];
                   with_float_type(x.dtype, [&]<class From>() {
                     with_float_type(y.dtype, [&]<class To>() {
                       for_each(call.exec, x.numel(), Cast<From, To>{x.as<From>(), y.as<To>()});
                     });
                   });
                 })},
      .channels = every_dim_alike(),
      .examples = {{.label = "to_f32", .in = {{{4, 5}}}, .attrs = {{"dtype", std::string("f32")}}},
                   {.label = "to_bf16",
                    .in = {{{4, 5}}},
                    .attrs = {{"dtype", std::string("bf16")}},
                    .gradient = OpExample::Gradient::Surrogate}},
  });
}

}  // namespace winnow::ops
