// dropout of elements; the reverse applies the same mask, drawn again, to the gradient.
#include "kernels/functors/dropout.h"

#include "core/ops/dispatch.h"
#include "kernels/for_each.h"

namespace winnow::ops {
void define_dropout() {
  define_op({
      .name = "dropout",
      .infer =
          [](std::span<const ValueInfo> in, const Attrs& attrs) {
            const double p = attrs.real("p");
            require(p >= 0 && p < 1, fmt::format("p must be in [0, 1), not {}", p));
            require(in.size() == 1 && in[0].shape.rank() >= 1, "takes one input with rows");
            return same_as_inputs(in, 1);
          },
      .reverse =
          [](Reverse& r) {
            // The node's name keys the mask, so the reverse node has the same name.
            r.add(0, r.graph().emit1("dropout", {r.out_grad(0)}, r.node().attrs, r.node().name));
          },
      .kernel = {.any = plain_kernel([](const KernelSpec& spec, const KernelCall& call) {
                   const TensorView &x = call.in[0], &y = call.out[0];
                   const std::int64_t n = x.numel(), row = n / std::max<std::int64_t>(1, x.shape[0]);
                   with_float_type(x.dtype, [&]<class T>() {
                     const Dropout<T> batch{
                         x.as<T>(), y.as<T>(), n, row, &call.exec.run->feed, stream_id(spec.node.name), spec.real("p")};
                     for_each(call.exec, DropoutInside<T>::count(n), DropoutInside<T>{batch}, 1024);
                     for_each(call.exec, DropoutEnds<T>::kCount, DropoutEnds<T>{batch});
                   });
                 })},
      .inplace = 0,
      .train_only = true,
      .channels = every_dim_alike(),
      .examples = {{.label = "half", .in = {{{6, 7}}}, .attrs = {{"p", 0.5}}},
                   {.label = "image", .in = {{{2, 3, 3, 4}}}, .attrs = {{"p", 0.2}}}},
  });
}

}  // namespace winnow::ops
